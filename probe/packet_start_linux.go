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
	l.freed = l.freed || len(ended) > 0
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

// begin starts the exchange with t at r's address, as soon as there is a socket for it.
func (l *packetLoop) begin(t muster.Target, r muster.Result) {
	var err error
	if len(l.parked) == 0 {
		if err = l.launch(t, r); err == nil {
			return
		}
	}
	l.parked = append(l.parked, packetParked{t: t, r: r, since: l.now()})
	if err != nil {
		l.stalled(err)
	}
}

// launch starts the exchange with t at r's address. The error is of the socket for it.
func (l *packetLoop) launch(t muster.Target, r muster.Result) error {
	peer := bareAddr(r.Address)
	if !l.setup.keyed && (l.peers[peer] != nil || !l.memory.claim(peer, t.Index)) {
		return l.alone(t, r)
	}
	s, err := l.socket(r.Address.Addr())
	if err != nil {
		return err
	}
	if peer.Port() == s.port && peer.Port() != 0 {
		return l.alone(t, r)
	}
	to, err := rawAddress(r.Address)
	if err != nil {
		failIn(&r, err, dial.PhaseConnect)
		l.report(t, r)
		return nil
	}
	f := l.newFlight()
	f.t, f.r, f.to, f.peer = t, r, to, peer
	f.sent, f.retry, f.again, f.spared, f.queued = false, 0, 0, 0, false
	if peer.Port() != 0 {
		f.older = l.peers[peer]
		if f.older != nil {
			f.older.newer = f
		}
		l.peers[peer] = f
	}
	l.follow(f, f.x.begin(&f.t, &f.r, f.key))
	return nil
}

// alone does the exchange on a goroutine, over a socket of its own, for which it does not wait.
func (l *packetLoop) alone(t muster.Target, r muster.Result) error {
	conn, err := l.setup.dialer.DialUDP(l.atOnce, r.Address)
	if err != nil {
		return err
	}
	l.away.Go(func() {
		probeAlone(l.ctx, l.kind, conn, &t, &r)
		l.comeBack(packetAway{t: t, r: r})
	})
	return nil
}
