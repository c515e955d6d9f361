package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, tt := range []struct {
		err       error
		phase     dial.Phase
		failure   muster.Failure
		transient bool
	}{
		{op(syscall.ECONNREFUSED), dial.PhaseConnect, muster.FailRefused, true},
		{op(syscall.EHOSTUNREACH), dial.PhaseConnect, muster.FailUnreachable, true},
		{op(syscall.ENETUNREACH), dial.PhaseConnect, muster.FailUnreachable, true},
		{op(syscall.EHOSTDOWN), dial.PhaseConnect, muster.FailUnreachable, true},
		{op(syscall.EACCES), dial.PhaseConnect, muster.FailUnreachable, false},
		{op(syscall.EPERM), dial.PhaseConnect, muster.FailUnreachable, false},
		{op(syscall.ENOPROTOOPT), dial.PhaseConnect, muster.FailUnreachable, false},
		{op(syscall.EAFNOSUPPORT), dial.PhaseConnect, muster.FailUnreachable, false},
		{op(syscall.EINVAL), dial.PhaseConnect, muster.FailUnreachable, false},
		{op(syscall.EHOSTUNREACH), dial.PhaseExchange, muster.FailUnreachable, true},
		{op(syscall.ETIMEDOUT), dial.PhaseConnect, muster.FailConnectTimeout, true},
		{op(syscall.ETIMEDOUT), dial.PhaseExchange, muster.FailTimeout, true},
		{os.ErrDeadlineExceeded, dial.PhaseConnect, muster.FailConnectTimeout, true},
		{context.DeadlineExceeded, dial.PhaseConnect, muster.FailConnectTimeout, true},
		{context.DeadlineExceeded, dial.PhaseTLS, muster.FailTimeout, true},
		{os.ErrDeadlineExceeded, dial.PhaseExchange, muster.FailTimeout, true},
		{context.DeadlineExceeded, dial.PhaseResolve, muster.FailDNS, true},
		{syscall.ECONNRESET, dial.PhaseExchange, muster.FailReset, true},
		{syscall.EPIPE, dial.PhaseExchange, muster.FailReset, true},
		{syscall.ECONNABORTED, dial.PhaseConnect, muster.FailReset, true},
		{io.EOF, dial.PhaseExchange, muster.FailReset, true},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), dial.PhaseTLS, muster.FailReset, true},
		{syscall.EMFILE, dial.PhaseConnect, muster.FailLocal, true},
		{syscall.ENFILE, dial.PhaseConnect, muster.FailLocal, true},
		{syscall.ENOMEM, dial.PhaseConnect, muster.FailLocal, true},
		{syscall.ENOBUFS, dial.PhaseExchange, muster.FailLocal, true},
		{syscall.EADDRNOTAVAIL, dial.PhaseConnect, muster.FailLocal, true},
		{syscall.EADDRINUSE, dial.PhaseConnect, muster.FailLocal, true},
		{syscall.EAGAIN, dial.PhaseConnect, muster.FailLocal, true},
		{&net.DNSError{IsNotFound: true}, dial.PhaseResolve, muster.FailDNS, false},
		{&net.DNSError{IsTimeout: true}, dial.PhaseResolve, muster.FailDNS, true},
		{&net.DNSError{IsTemporary: true}, dial.PhaseResolve, muster.FailDNS, true},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, dial.PhaseTLS, muster.FailTLS, false},
		{errors.New("odd"), dial.PhaseExchange, muster.FailProtocol, false},
	} {
		e := dial.Classify(tt.err, tt.phase)
		if e.Outcome != muster.Failed || e.Failure != tt.failure || e.Transient != tt.transient || e.Reason == "" {
			t.Errorf("Classify(%v, %d) = %+v, want %v, transient %v", tt.err, tt.phase, *e, tt.failure, tt.transient)
		}
		if !errors.Is(e, tt.err) {
			t.Errorf("Classify(%v) hides its cause", tt.err)
		}
		if again := dial.Classify(fmt.Errorf("get: %w", e), dial.PhaseExchange); again != e {
			t.Errorf("Classify of a classified error = %+v", again)
		}
	}
}

func TestClassifyCanceled(t *testing.T) {
	t.Parallel()
	for _, err := range []error{context.Canceled, net.ErrClosed, fmt.Errorf("x: %w", os.ErrClosed)} {
		if e := dial.Classify(err, dial.PhaseConnect); e.Outcome != muster.Canceled || e.Failure != muster.NoFailure {
			t.Errorf("Classify(%v) = %+v, want canceled", err, e)
		}
	}
	if e := dial.Classify(nil, dial.PhaseConnect); e != nil {
		t.Errorf("Classify(nil) = %v", e)
	}
}

func TestErrorResult(t *testing.T) {
	t.Parallel()
	r := dial.Classify(syscall.ECONNREFUSED, dial.PhaseConnect).Result()
	if r.Outcome != muster.Failed || r.Failure != muster.FailRefused || r.Reason == "" || r.Detail == "" || !r.Transient {
		t.Errorf("Result = %+v", r)
	}
}
