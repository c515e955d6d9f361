package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/musterhq/muster"
)

// Phase is the part of an attempt in which an error happened.
type Phase uint8

// The phases. The zero value is PhaseExchange.
const (
	PhaseExchange Phase = iota // request and answer
	PhaseResolve               // name to address
	PhaseConnect               // address to connection
	PhaseTLS                   // handshake
)

// Classify says how an attempt ends that met err in the given phase. It returns nil for nil, and an
// [*Error] in err's chain as it is. An error that nothing is known about becomes the phase's own
// failure: dns, unreachable, tls, protocol.
//
// A passed deadline is dns, connect_timeout or timeout by phase. An end of file is reset: the
// peer closed too early; a codec that knows better must not ask. Certificate errors are tls.
func Classify(err error, phase Phase) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return &Error{Outcome: muster.Canceled, Reason: "canceled", Err: err, Detail: err.Error()}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return classifyDNS(e)
	}
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		if e := classifyErrno(no, err, phase); e != nil {
			return e
		}
	}
	if isTimeout(err) {
		return timedOut(err, phase)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return failed(muster.FailReset, "closed early", true, err)
	}
	return unknown(err, phase)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func timedOut(err error, phase Phase) *Error {
	switch phase {
	case PhaseResolve:
		return failed(muster.FailDNS, reasonDNSTimeout, true, err)
	case PhaseConnect:
		return failed(muster.FailConnectTimeout, "connect timeout", true, err)
	}
	return failed(muster.FailTimeout, "timeout", true, err)
}

func unknown(err error, phase Phase) *Error {
	switch phase {
	case PhaseResolve:
		return failed(muster.FailDNS, "name resolution", true, err)
	case PhaseConnect:
		return failed(muster.FailUnreachable, "connect", false, err)
	case PhaseTLS:
		return failed(muster.FailTLS, "tls", false, err)
	}
	return failed(muster.FailProtocol, "protocol", false, err)
}

// Reasons of FailLocal: which resource of ours ran short.
const (
	// ReasonDescriptors means that the process or the system has no file descriptor left.
	ReasonDescriptors = "descriptors"
	// ReasonPorts means that no local port is left for the destination.
	ReasonPorts = "ports"
	// ReasonICMP means that this user may not send ICMP.
	ReasonICMP = "icmp not permitted"
	// ReasonMemory means that the kernel has no memory left for sockets.
	ReasonMemory = "memory"
)

func classifyErrno(no syscall.Errno, err error, phase Phase) *Error {
	switch no {
	case syscall.ECONNREFUSED:
		return failed(muster.FailRefused, "connection refused", true, err)
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ENETRESET, syscall.ENOTCONN:
		return failed(muster.FailReset, "connection reset", true, err)
	case syscall.ETIMEDOUT:
		return timedOut(err, phase)
	case syscall.EMFILE, syscall.ENFILE:
		return failed(muster.FailLocal, ReasonDescriptors, true, err)
	case syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAGAIN:
		return failed(muster.FailLocal, ReasonPorts, true, err)
	case syscall.ENOMEM, syscall.ENOBUFS:
		return failed(muster.FailLocal, ReasonMemory, true, err)
	}
	return classifyUnreachable(no, err)
}

// classifyUnreachable knows the errors of routing. The permission errors come from local packet
// filters, which stay as they are, so they are not worth another attempt.
func classifyUnreachable(no syscall.Errno, err error) *Error {
	switch no {
	case syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return failed(muster.FailUnreachable, "no route to host", true, err)
	case syscall.ENETUNREACH, syscall.ENETDOWN:
		return failed(muster.FailUnreachable, "network unreachable", true, err)
	case syscall.EACCES, syscall.EPERM:
		return failed(muster.FailUnreachable, "not permitted", false, err)
	case syscall.ENOPROTOOPT, syscall.EPROTONOSUPPORT:
		return failed(muster.FailUnreachable, "protocol unreachable", false, err)
	case syscall.EAFNOSUPPORT:
		return failed(muster.FailUnreachable, "address family not supported", false, err)
	}
	return nil
}

// Reasons of FailDNS.
const (
	reasonNoHost     = "no such host"
	reasonDNSTimeout = "dns timeout"
	reasonDNSServer  = "dns server failure"
)

func classifyDNS(err *net.DNSError) *Error {
	switch {
	case err.IsNotFound:
		return failed(muster.FailDNS, reasonNoHost, false, err)
	case err.IsTimeout:
		return failed(muster.FailDNS, reasonDNSTimeout, true, err)
	}
	if e, ok := errors.AsType[*Error](err.Unwrap()); ok {
		return e
	}
	return failed(muster.FailDNS, reasonDNSServer, true, err)
}
