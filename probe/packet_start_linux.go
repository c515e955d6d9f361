package probe

import (
	"context"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// packetAway is what comes back from a goroutine: a target with its result, or with its address.
type packetAway struct {
	t        muster.Target
	r        muster.Result
	resolved bool
}

// start begins the exchange with t.
func (l *packetLoop) start(t muster.Target) {
	l.target = t // on the heap already
	r := muster.Result{Started: time.Now()}
	route, d := l.kind.locate(&l.target)
	if d != nil {
		d.result(&r)
		l.report(t, r)
		return
	}
	ap, ok, err := l.setup.dialer.ResolveCached(route.host, route.addr, route.port)
	switch {
	case !ok:
		l.resolve(t, r, route)
	case err != nil:
		failIn(&r, err, dial.PhaseResolve)
		l.report(t, r)
	default:
		r.Address = ap
		l.begin(t, r)
	}
}

// resolve looks the name up on a goroutine.
func (l *packetLoop) resolve(t muster.Target, r muster.Result, route packetRoute) {
	l.away.Go(func() {
		ctx, stop := context.WithTimeout(l.ctx, l.setup.timeout)
		defer stop()
		ap, err := l.setup.dialer.Resolve(ctx, route.host, route.addr, route.port)
		r.Timings.Resolve = time.Since(r.Started)
		if r.Address = ap; err != nil && !cancel(l.ctx, &r) {
			failIn(&r, err, dial.PhaseResolve)
		}
		l.comeBack(packetAway{t: t, r: r, resolved: r.Outcome == 0})
	})
}

func (l *packetLoop) comeBack(a packetAway) {
	l.mu.Lock()
	l.ended = append(l.ended, a)
	l.mu.Unlock()
	l.poll.wake()
}

// awoken goes on with what came back from goroutines.
func (l *packetLoop) awoken() {
	l.mu.Lock()
	ended := l.ended
	l.ended = nil
	l.mu.Unlock()
	for _, a := range ended {
		switch {
		case a.resolved && l.ctx.Err() != nil:
			cancel(l.ctx, &a.r)
			l.report(a.t, a.r)
		case a.resolved:
			l.begin(a.t, a.r)
		default:
			l.report(a.t, a.r)
		}
	}
}

// begin makes a flight of the exchange with t at r's address.
func (l *packetLoop) begin(t muster.Target, r muster.Result) {
	s, err := l.socket(r.Address.Addr())
	if err != nil {
		failIn(&r, err, dial.PhaseConnect)
		l.report(t, r)
		return
	}
	peer := bareAddr(r.Address)
	if !l.setup.keyed && l.peers[peer] != nil || peer.Port() == s.port && peer.Port() != 0 {
		l.alone(t, r)
		return
	}
	to, err := rawAddress(r.Address)
	if err != nil {
		failIn(&r, err, dial.PhaseConnect)
		l.report(t, r)
		return
	}
	f := l.newFlight()
	f.t, f.r, f.to, f.peer = t, r, to, peer
	f.sent, f.retry, f.again, f.spared, f.queued = false, 0, 0, 0, false
	if peer.Port() != 0 {
		f.twin = l.peers[peer]
		l.peers[peer] = f
	}
	l.follow(f, f.x.begin(&f.t, &f.r, f.key))
}

// alone does the exchange on a goroutine, over a socket of its own.
func (l *packetLoop) alone(t muster.Target, r muster.Result) {
	l.away.Go(func() {
		probeAlone(l.ctx, l.kind, &t, &r)
		l.comeBack(packetAway{t: t, r: r})
	})
}
