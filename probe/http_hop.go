package probe

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
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
	stop       context.CancelFunc // ends the attempt

	mu       sync.Mutex
	addr     netip.AddrPort
	timings  muster.Timings
	sent     bool
	sentHere bool // for the current request
	late     bool
	again    int // how often the current request was sent again
	replayed bool
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
	h.sentHere, h.again = false, 0
	h.written, h.timings.FirstByte = time.Time{}, 0
}

var errReplay = &fault{muster.FailReset, "closed without an answer", "connection lost, and the request not sent again", true}

// onConn notes the connection that the next request goes over, and forbids the transport to send one again
// that must not be repeated, and any other more than once: it would without end after refused streams.
func (h *hop) onConn(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		h.addr = ap
	}
	if !h.sentHere {
		return
	}
	if h.again++; h.again > 1 || h.p.env.Repeat == muster.RepeatNever {
		h.replayed = true
		h.stop()
	}
}

// why returns the reason of ours for which the attempt ended with err, else err.
func (h *hop) why(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case h.replayed:
		return errReplay
	case h.late:
		return os.ErrDeadlineExceeded
	}
	return err
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
		GotConn:           func(i httptrace.GotConnInfo) { h.onConn(i.Conn.RemoteAddr().String()) },
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
