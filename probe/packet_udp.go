package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// udpWire are shared UDP sockets.
type udpWire struct {
	dialer *dial.Dialer
	// key reads the exchange's key from a datagram; nil when datagrams bear none.
	key func(b []byte) (key uint16, ok bool)
}

var _ packetWire = (*udpWire)(nil)

func (w *udpWire) open(family int) (int, error) { return w.dialer.OpenPacket(family) }

func (w *udpWire) room() int { return 0 }

func (w *udpWire) seal([]byte, int, uint16) {}

// read never drops a datagram: one without the key that all must bear is garbage, which concerns whatever is under way
// to the peer.
func (w *udpWire) read(a *arrival, _ int) bool {
	if a.bare = w.key == nil; !a.bare {
		var ok bool
		a.key, ok = w.key(a.data)
		a.bare = !ok
	}
	return true
}

var errPortRefused = &fault{muster.FailRefused, "connection refused", "", true}

// readQuote takes a port that nobody listens on for a refusal. A router need not quote more than the UDP
// header: then the error is of everything that is under way to that address and port.
func (w *udpWire) readQuote(a *arrival, family int) {
	w.read(a, family)
	if a.err == errPortUnreachable {
		a.err = errPortRefused
	}
}

// probeDatagrams does the exchange with t over a UDP socket of its own, on this goroutine.
func probeDatagrams(ctx context.Context, k packetKind, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	route, d := k.locate(&t)
	if d != nil {
		d.result(&r)
		return r
	}
	setup := k.setup()
	resolving, stop := context.WithTimeout(ctx, setup.timeout)
	ap, err := setup.dialer.Resolve(resolving, route.host, route.addr, route.port)
	stop()
	r.Timings.Resolve = time.Since(r.Started)
	if err != nil {
		if !cancel(ctx, &r) {
			failIn(&r, err, dial.PhaseResolve)
		}
		return r
	}
	r.Address = ap
	waiting, stop := context.WithTimeout(ctx, setup.timeout)
	conn, err := setup.dialer.DialUDP(waiting, ap)
	stop()
	if err != nil {
		if failIn(&r, err, dial.PhaseConnect); r.Outcome == muster.Failed {
			cancel(ctx, &r)
		}
		return r
	}
	probeAlone(ctx, k, conn, &t, &r)
	return r
}

// lonePackets is one exchange over a UDP socket of its own.
type lonePackets struct {
	kind  packetKind
	setup packetSetup
	wire  packetWire
	conn  net.Conn
	x     packetExchange
	key   uint16
	t     *muster.Target
	r     *muster.Result
	out   []byte
	in    []byte
	until time.Duration // when expired is due
}

// probeAlone does the exchange with t at r's address over conn, and closes that.
func probeAlone(ctx context.Context, k packetKind, conn net.Conn, t *muster.Target, r *muster.Result) {
	defer conn.Close()
	p := lonePackets{kind: k, setup: k.setup(), wire: k.wire(), conn: conn, x: k.exchange(), key: uint16(rand.Uint32()), t: t, r: r}
	p.in = make([]byte, p.setup.largest+1)
	r.Started = time.Now()
	limited, stop := context.WithTimeout(ctx, p.setup.timeout)
	defer stop()
	p.run(limited)
	if r.Outcome == 0 || r.Outcome == muster.Failed {
		cancel(ctx, r)
	}
	if r.Timings.Total == 0 {
		r.Timings.Total = p.now()
	}
	r.Timings.Total += r.Timings.Resolve
}

func (p *lonePackets) now() time.Duration { return time.Since(p.r.Started) }

// run follows the exchange to its end.
func (p *lonePackets) run(ctx context.Context) {
	past := time.Unix(1, 0)
	awake := context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(past) })
	defer awake()
	for step := p.x.begin(p.t, p.r, p.key); ; {
		switch step.do {
		case packetDone:
			return
		case packetLeave:
			p.x.aside(ctx, p.r)
			return
		case packetSend:
			p.until = p.now() + step.wait
			if err := p.send(); err != nil {
				step = p.refused(err)
				continue
			}
		case packetStay:
			if step.wait > 0 {
				p.until = p.now() + step.wait
			}
		}
		p.conn.SetReadDeadline(p.r.Started.Add(p.until))
		if ctx.Err() != nil {
			p.x.finish(p.r)
			return
		}
		step = p.read()
	}
}

func (p *lonePackets) send() error {
	p.out = p.x.payload(append(p.out[:0], make([]byte, p.wire.room())...))
	at := p.now()
	_, err := p.conn.Write(p.out)
	p.r.Sent = p.r.Sent || err == nil
	if p.r.Sent {
		p.x.sent(at) // also when it failed, or an exchange that goes on would try this one for ever
	}
	return err
}

// read takes one datagram, or the end of the wait for it.
func (p *lonePackets) read() packetStep {
	n, err := p.conn.Read(p.in)
	at := p.now()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if at < p.until {
			return packetStep{} // the attempt is over
		}
		return p.x.expired(at, p.r)
	case err != nil:
		return p.refused(err)
	}
	a := arrival{peer: bareAddr(p.r.Address), data: p.in[:min(n, p.setup.largest)], cut: n > p.setup.largest, at: at}
	if !p.wire.read(&a, family(p.r.Address)) {
		return packetStep{}
	}
	return p.x.received(&a, p.r)
}

// refused hands the error of a call to the exchange.
func (p *lonePackets) refused(err error) packetStep {
	e := dial.Classify(err, dial.PhaseExchange)
	return p.x.received(&arrival{peer: bareAddr(p.r.Address), at: p.now(), err: &fault{e.Failure, e.Reason, e.Detail, e.Transient}}, p.r)
}

func bareAddr(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port())
}

func family(ap netip.AddrPort) int {
	if ap.Addr().Is4() {
		return 4
	}
	return 6
}
