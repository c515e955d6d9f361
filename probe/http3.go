//go:build http3

package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// hasHTTP3 says whether HTTP/3 was built in.
const hasHTTP3 = true

// quicTransport does each request over a QUIC connection of its own; all connections of a family share one socket.
type quicTransport struct {
	p      *httpProber
	config *quic.Config

	mu     sync.Mutex
	shared map[int]*quic.Transport // by family, opened when first needed
}

func newHTTP3(p *httpProber) http3Transport {
	return &quicTransport{
		p: p, shared: map[int]*quic.Transport{},
		config: &quic.Config{
			HandshakeIdleTimeout: p.env.ConnectTimeout, MaxIdleTimeout: max(p.env.Timeout, time.Second), DisablePathMTUDiscovery: true,
		},
	}
}

// quicSocket hides from QUIC what it would tune of a socket, and complain about on standard error where it may not.
type quicSocket struct{ net.PacketConn }

// SetReadBuffer leaves the buffer as the dialer has set it.
func (quicSocket) SetReadBuffer(int) error { return nil }

// SetWriteBuffer leaves the buffer as it is.
func (quicSocket) SetWriteBuffer(int) error { return nil }

// to returns the transport for addresses such as a.
func (t *quicTransport) to(a netip.Addr) (*quic.Transport, error) {
	family := 4
	if a.Is6() && !a.Is4In6() {
		family = 6
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.shared[family]; q != nil {
		return q, nil
	}
	c, err := t.p.env.Dialer.ListenUDP(family)
	if err != nil {
		return nil, err
	}
	q := &quic.Transport{Conn: quicSocket{c}}
	t.shared[family] = q
	return q, nil
}

// close ends the sockets; no request may be under way.
func (t *quicTransport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for family, q := range t.shared {
		q.Close()
		q.Conn.Close()
		delete(t.shared, family)
	}
}

// RoundTrip does one request over a fresh connection, which ends with the answer's body.
func (t *quicTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, err := t.dial(req)
	if err != nil {
		return nil, err
	}
	tr := http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHead}
	hopOf(req.Context()).writing()
	resp, err := tr.NewClientConn(conn).RoundTrip(req)
	if err != nil {
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		return nil, quicError(err, dial.PhaseExchange)
	}
	resp.Body = &quicBody{resp.Body, conn}
	return resp, nil
}

// writing notes that a request is about to be written, where the transport does not say when it was.
func (h *hop) writing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.written = time.Now()
}

// dial resolves the request's host and shakes hands with it, which is both connecting and TLS.
func (t *quicTransport) dial(req *http.Request) (*quic.Conn, error) {
	ctx := req.Context()
	h := hopOf(ctx)
	if req.URL.Scheme != "https" {
		return nil, &fault{muster.FailProtocol, "redirect to http", "a redirect leads to http, over which HTTP/3 is not spoken", false}
	}
	port := uint64(443)
	if text := req.URL.Port(); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	ap, err := t.p.env.Dialer.Resolve(ctx, req.URL.Hostname(), netip.Addr{}, uint16(port))
	if err != nil {
		return nil, dial.Classify(err, dial.PhaseResolve)
	}
	h.resolved(ap, time.Since(began))
	q, err := t.to(ap.Addr())
	if err != nil {
		return nil, err
	}
	cfg := t.p.tls.Clone()
	cfg.NextProtos = []string{http3.NextProtoH3}
	if cfg.ServerName = h.serverName; cfg.ServerName == "" {
		cfg.ServerName = req.URL.Hostname()
	}
	began = time.Now()
	ctx, stop := context.WithTimeout(ctx, t.p.env.ConnectTimeout)
	defer stop()
	conn, err := q.Dial(ctx, net.UDPAddrFromAddrPort(ap), cfg, t.config)
	h.connected(time.Since(began))
	return conn, quicError(err, dial.PhaseConnect)
}

// quicBody ends the connection with the body.
type quicBody struct {
	io.ReadCloser
	conn *quic.Conn
}

// Read reads the body.
func (b *quicBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, quicError(err, dial.PhaseExchange)
}

// Close closes the body and the connection.
func (b *quicBody) Close() error {
	err := b.ReadCloser.Close()
	return errors.Join(err, b.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), ""))
}

// quicError makes an error of QUIC one that can be classified: to package net all of them are a closed socket.
func quicError(err error, phase dial.Phase) error {
	if err == nil || err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return transportError(e)
	}
	if e, ok := errors.AsType[*http3.Error](err); ok {
		return http3Error(e)
	}
	_, handshake := errors.AsType[*quic.HandshakeTimeoutError](err)
	_, idle := errors.AsType[*quic.IdleTimeoutError](err)
	_, reset := errors.AsType[*quic.StatelessResetError](err)
	_, closed := errors.AsType[*quic.ApplicationError](err)
	_, version := errors.AsType[*quic.VersionNegotiationError](err)
	switch {
	case handshake, idle, errors.Is(err, context.DeadlineExceeded):
		return dial.Classify(os.ErrDeadlineExceeded, phase)
	case reset, closed:
		return &fault{muster.FailReset, "connection reset", err.Error(), true}
	case version:
		return &fault{muster.FailProtocol, "quic version", err.Error(), false}
	}
	return err
}

func transportError(e *quic.TransportError) error {
	switch {
	case e.ErrorCode.IsCryptoError():
		return &fault{muster.FailTLS, tls.AlertError(e.ErrorCode - 0x100).Error(), e.Error(), false}
	case e.ErrorCode == quic.ConnectionRefused:
		return &fault{muster.FailRefused, "connection refused", e.Error(), true}
	}
	return &fault{muster.FailProtocol, "quic", e.Error(), false}
}

func http3Error(e *http3.Error) error {
	if !e.Remote && e.ErrorCode == http3.ErrCodeRequestCanceled {
		return os.ErrDeadlineExceeded // it is the attempt's end that cancels, else the caller has asked for it
	}
	switch e.ErrorCode {
	case http3.ErrCodeNoError, http3.ErrCodeRequestRejected, http3.ErrCodeRequestCanceled, http3.ErrCodeInternalError, http3.ErrCodeExcessiveLoad:
		return &fault{muster.FailReset, "stream reset", e.Error(), true}
	}
	return &fault{muster.FailProtocol, "http/3", e.Error(), false}
}
