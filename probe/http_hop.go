package probe

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

// hop is what one attempt through net/http learns of its current request. The transport calls back from
// goroutines that may outlive the attempt.
type hop struct {
	p          *httpProber
	started    time.Time
	serverName string
	proxy      *url.URL

	mu       sync.Mutex
	addr     netip.AddrPort
	timings  muster.Timings
	sent     bool
	dials    int // for the current request
	sentHere bool
	late     bool
	tlsBegan time.Time
	written  time.Time
}

type hopKey struct{}

func withHop(ctx context.Context, h *hop) context.Context { return context.WithValue(ctx, hopKey{}, h) }

func hopOf(ctx context.Context) *hop { return ctx.Value(hopKey{}).(*hop) }

// next starts the request to a redirect's location.
func (h *hop) next() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dials, h.sentHere = 0, false
	h.written, h.timings.FirstByte = time.Time{}, 0
}

var errReplay = &fault{muster.FailReset, "closed without an answer", "connection lost; the request must not be repeated", true}

// mayDial forbids the transport to send a request again that must not be repeated.
func (h *hop) mayDial() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dials++
	if h.dials > 1 && h.sentHere && h.p.env.Repeat == muster.RepeatNever {
		return errReplay
	}
	return nil
}

func (h *hop) resolved(ap netip.AddrPort, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addr, h.timings.Resolve = ap, took
}

func (h *hop) connected(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timings.Connect = took
}

func (h *hop) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = true
}

func (h *hop) expired() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

// report writes what is known into r.
func (h *hop) report(r *muster.Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Address, r.Timings, r.Sent = h.addr, h.timings, h.sent
}

func (h *hop) trace() *httptrace.ClientTrace {
	locked := func(f func()) {
		h.mu.Lock()
		defer h.mu.Unlock()
		f()
	}
	return &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if ap, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil {
				locked(func() { h.addr = ap })
			}
		},
		TLSHandshakeStart: func() { locked(func() { h.tlsBegan = time.Now() }) },
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			locked(func() { h.timings.TLS = time.Since(h.tlsBegan) })
		},
		// Fields are written into a buffer first: from here on bytes may be under way.
		WroteHeaderField: func(string, []string) { locked(func() { h.sent, h.sentHere = true, true }) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { locked(func() { h.written = time.Now() }) },
		GotFirstResponseByte: func() {
			locked(func() {
				if !h.written.IsZero() {
					h.timings.FirstByte = time.Since(h.written)
				}
			})
		},
	}
}
