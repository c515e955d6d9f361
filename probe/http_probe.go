package probe

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// The sizes of read buffers: the small one is held while waiting, the large one only
// while a large body arrives.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// exchange is the reusable state of one attempt on a goroutine.
type exchange struct {
	p       *httpProber
	req     request
	resp    response
	started time.Time
	end     time.Time // of the attempt
	buf     [smallBuffer]byte
}

// exchangePool hands out exchanges, and large buffers to them.
type exchangePool struct{ pool, large sync.Pool }

func (ep *exchangePool) getLarge() *[largeBuffer]byte {
	if b, ok := ep.large.Get().(*[largeBuffer]byte); ok {
		return b
	}
	return new([largeBuffer]byte)
}

func (ep *exchangePool) get(p *httpProber) *exchange {
	x, ok := ep.pool.Get().(*exchange)
	if !ok {
		x = &exchange{p: p}
	}
	x.started = time.Now()
	x.end = x.started.Add(p.env.Timeout)
	return x
}

func (ep *exchangePool) put(x *exchange) {
	if cap(x.req.raw)+cap(x.req.text) > maxScratch {
		x.req.raw, x.req.text = nil, nil
	}
	x.resp.reset(responseConfig{})
	ep.pool.Put(x)
}

// Probe does one exchange with t.
func (p *httpProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	x := p.exchanges.get(p)
	defer p.exchanges.put(x)
	r := muster.Result{Started: x.started}
	if d := p.build(&x.req, &t, false); d != nil {
		d.result(&r)
		return r
	}
	if p.lean && isASCII(x.req.host) {
		x.run(ctx, &t, &r)
	} else {
		p.std.run(ctx, x, &t, &r)
	}
	r.Timings.Total = time.Since(x.started)
	return r
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// run does the exchange on this goroutine, on a kept connection when there is one.
func (x *exchange) run(ctx context.Context, t *muster.Target, r *muster.Result) {
	ap, err := x.resolve(ctx, r)
	if err != nil {
		if !cancel(ctx, r) {
			failIn(r, err, dial.PhaseResolve)
		}
		return
	}
	r.Address = ap
	key, d := x.key(ap, t)
	if d != nil {
		d.result(r)
		return
	}
	if c := x.p.idle.take(key); c != nil {
		if !x.runOn(ctx, c, r) {
			return
		}
		*r = muster.Result{Started: r.Started, Address: ap, Timings: muster.Timings{Resolve: r.Timings.Resolve}}
	}
	c, ok := x.connect(ctx, key, r)
	if ok {
		x.runOn(ctx, c, r)
	}
}

func (x *exchange) resolve(ctx context.Context, r *muster.Result) (netip.AddrPort, error) {
	q := &x.req
	if q.addr.IsValid() {
		return x.p.env.Dialer.Resolve(ctx, q.host, q.addr, q.port)
	}
	if ap, ok, err := x.p.env.Dialer.ResolveCached(q.host, q.addr, q.port); ok {
		return ap, err
	}
	ctx, stop := context.WithDeadline(ctx, x.end)
	defer stop()
	ap, err := x.p.env.Dialer.Resolve(ctx, q.host, q.addr, q.port)
	r.Timings.Resolve = time.Since(x.started)
	return ap, err
}

// connect opens a fresh connection, TLS included. When it is not ok, r says why.
func (x *exchange) connect(ctx context.Context, key connKey, r *muster.Result) (*keptConn, bool) {
	began := time.Now()
	dctx, stop := context.WithDeadline(ctx, earlier(began.Add(x.p.env.ConnectTimeout), x.end))
	raw, err := x.p.env.Dialer.Dial(dctx, key.addr)
	stop()
	r.Timings.Connect = time.Since(began)
	if err != nil {
		if !cancel(ctx, r) {
			failIn(r, err, dial.PhaseConnect)
		}
		return nil, false
	}
	c := &keptConn{key: key, raw: raw, Conn: raw}
	if !key.https {
		return c, true
	}
	if err := x.handshake(ctx, c, r); err != nil {
		raw.Close()
		if !cancel(ctx, r) {
			failTLS(r, err)
		}
		return nil, false
	}
	return c, true
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (x *exchange) handshake(ctx context.Context, c *keptConn, r *muster.Result) error {
	began := time.Now()
	tc := tls.Client(c.raw, x.p.tlsFor(c.key.serverName))
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	defer stop()
	if err := c.raw.SetDeadline(x.end); err != nil {
		return err
	}
	err := tc.Handshake()
	r.Timings.TLS = time.Since(began)
	c.Conn = tc
	return err
}

// runOn does the exchange on c, which is kept or closed. again says that c was a kept connection that
// the peer had given up, so that the request may go to a fresh one.
func (x *exchange) runOn(ctx context.Context, c *keptConn, r *muster.Result) (again bool) {
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	err := x.converse(c, r)
	canceled := !stop()
	switch {
	case err == nil && !x.resp.close && !canceled && x.p.idle != nil:
		x.p.idle.put(c)
	default:
		c.raw.Close()
	}
	if err == nil {
		x.p.answered(r, x.resp.takeAnswer())
		return false
	}
	if cancel(ctx, r) {
		return false
	}
	if c.key.https && isTLSError(err) {
		failTLS(r, err)
		return false
	}
	fail(r, err)
	stale := c.reused && !x.resp.begun() && r.Failure == muster.FailReset
	return stale && (!r.Sent || x.p.env.Repeat == muster.RepeatSafe)
}

// converse writes the request and reads the answer.
func (x *exchange) converse(c *keptConn, r *muster.Result) error {
	p := x.p
	x.resp.reset(p.response)
	if err := c.raw.SetDeadline(x.end); err != nil {
		return err
	}
	n, err := c.Write(x.req.raw)
	r.Sent = n > 0 || err == nil
	written := time.Now()
	if err != nil {
		// A server that refuses a large body answers first and then closes.
		if x.read(c, r, written) == nil && x.resp.state == done {
			x.resp.close = true
			return nil
		}
		return err
	}
	if d := time.Duration(p.spec.HeaderTimeout); d > 0 {
		c.raw.SetReadDeadline(earlier(written.Add(d), x.end))
	}
	return x.read(c, r, written)
}

// read reads until the answer is complete.
func (x *exchange) read(c net.Conn, r *muster.Result, written time.Time) error {
	buf := x.buf[:]
	inBody := false
	for x.resp.state != done {
		n, err := c.Read(buf)
		if n > 0 {
			if r.Timings.FirstByte == 0 {
				r.Timings.FirstByte = time.Since(written)
			}
			used, perr := x.resp.feed(buf[:n])
			if perr != nil {
				return perr
			}
			x.resp.close = x.resp.close || used < n
		}
		if !inBody && x.resp.state != inHead {
			inBody = true
			if d := time.Duration(x.p.spec.BodyTimeout); d > 0 && x.resp.state != done {
				c.SetReadDeadline(earlier(time.Now().Add(d), x.end))
			} else if x.p.spec.HeaderTimeout > 0 {
				c.SetReadDeadline(x.end)
			}
		}
		switch {
		case err == io.EOF:
			return x.resp.eof()
		case err != nil && x.resp.state != done:
			return err
		}
		if n == len(buf) && n == smallBuffer {
			large := x.p.exchanges.getLarge()
			defer x.p.exchanges.large.Put(large)
			buf = large[:]
		}
	}
	return nil
}
