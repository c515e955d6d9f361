package probe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// dnsStream is one question over TCP or TLS.
type dnsStream struct {
	p          *dnsProber
	serverName string // of TLS
	query      []byte
	secured    bool // the handshake is over, or there is none
}

// ask puts the question to r's address, within the deadline of ctx.
func (s *dnsStream) ask(ctx context.Context, r *muster.Result) {
	began := time.Now()
	dctx, stop := context.WithTimeout(ctx, s.p.env.ConnectTimeout)
	c, err := s.p.env.Dialer.Dial(dctx, r.Address)
	stop()
	r.Timings.Connect = time.Since(began)
	if err != nil {
		if !stopped(ctx, r) {
			failIn(r, err, dial.PhaseConnect)
		}
		return
	}
	hangUp := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			c.Close()
		}
	})
	err = s.speak(ctx, c, r)
	hangUp()
	c.Close()
	switch {
	case err == nil || stopped(ctx, r):
	case !s.secured && !errors.Is(err, os.ErrDeadlineExceeded) || isTLSError(err):
		failTLS(r, err)
	default:
		fail(r, err)
	}
}

// stopped makes r the end of an attempt that was told to stop, but not of one whose time was over.
func stopped(ctx context.Context, r *muster.Result) bool {
	return errors.Is(ctx.Err(), context.Canceled) && cancel(ctx, r)
}

// speak asks over an open connection.
func (s *dnsStream) speak(ctx context.Context, c net.Conn, r *muster.Result) error {
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return err
		}
	}
	if s.secured = s.p.spec.Transport != transportTLS; !s.secured {
		secure, err := s.handshake(c, r)
		if err != nil {
			return err
		}
		c, s.secured = secure, true
	}
	n, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(s.query))), s.query...))
	r.Sent = r.Sent || n > 0
	if err != nil {
		return err
	}
	written := time.Now()
	answer, err := readFramed(c, func() { r.Timings.FirstByte = time.Since(written) })
	if err != nil {
		return err
	}
	if why := mismatch(s.query, answer); why != "" {
		return &fault{muster.FailProtocol, noUsableAnswer, "the answer is none to this question: " + why, false}
	}
	if !s.p.readAnswer(answer, r) {
		return malformed("answer", answer)
	}
	return nil
}

func (s *dnsStream) handshake(c net.Conn, r *muster.Result) (net.Conn, error) {
	config := s.p.tls.Clone()
	config.ServerName = s.serverName
	began := time.Now()
	tc := tls.Client(c, config)
	err := tc.Handshake()
	r.Timings.TLS = time.Since(began)
	return tc, err
}

// readFramed reads one message behind its length.
func readFramed(c io.Reader, begun func()) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	begun()
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}
