package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
)

// packetFlight is one exchange in a loop. It is reused.
type packetFlight struct {
	key    uint16
	to     unix.RawSockaddrInet6
	peer   netip.AddrPort // without a zone
	older  *packetFlight  // with that address
	newer  *packetFlight
	x      packetExchange
	t      muster.Target
	r      muster.Result
	queued bool          // to be sent
	retry  uint8         // how often that was tried again
	again  uint8         // and how often because of errors about others
	spared uint8         // how often silence was not held against the peer, because we had lost datagrams
	drops  uint32        // the socket's count when the last datagram left
	wait   time.Duration // after the sending
	began  time.Duration // when the first datagram left
	sent   bool
	timer  packetTimer
}

// newFlight returns an unused flight with a key that nobody could have foreseen.
func (l *packetLoop) newFlight() *packetFlight {
	var f *packetFlight
	if n := len(l.free); n > 0 {
		f = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f = &packetFlight{x: l.exchange()}
	}
	for f.key = uint16(rand.Uint32()); l.keys[f.key] != nil; f.key = uint16(rand.Uint32()) {
	}
	l.keys[f.key] = f
	l.used++
	return f
}

func (l *packetLoop) exchange() packetExchange {
	x := l.kind.exchange()
	if o, ok := x.(strayObserver); ok {
		o.observe(&l.strays)
	}
	return x
}

// follow does what the exchange wants next.
func (l *packetLoop) follow(f *packetFlight, step packetStep) {
	switch step.do {
	case packetDone:
		l.end(f)
	case packetLeave:
		l.leave(f)
	case packetSend:
		f.wait = step.wait
		if l.wheel.stop(f); f.sent {
			l.arm(f, forever) // its time may be over before the socket takes it
		}
		l.enqueue(f)
	case packetStay:
		if step.wait > 0 {
			l.arm(f, l.now()+step.wait)
		}
	}
}

const forever = time.Duration(math.MaxInt64)

// arm has f looked after at the given moment, or when the attempt's time is over.
func (l *packetLoop) arm(f *packetFlight, at time.Duration) {
	l.wheel.set(f, min(at, f.began+l.setup.timeout))
}

// expired is called by the wheel.
func (l *packetLoop) expired(f *packetFlight) {
	now := l.now()
	if f.sent && now >= f.began+l.setup.timeout {
		f.x.finish(&f.r)
		l.end(f)
		return
	}
	if l.spare(f) {
		l.follow(f, packetStep{do: packetSend, wait: f.wait})
		return
	}
	l.follow(f, f.x.expired(now, &f.r))
}

// maxSpared bounds how often a datagram is sent again because the answer may have found no room.
const maxSpared = 8

// spare reports whether the answer to f's last datagram may have come and found no room in our socket: then that is
// sent again rather than its silence held against the peer.
func (l *packetLoop) spare(f *packetFlight) bool {
	if !l.setup.repeats || f.spared >= maxSpared || l.sockOf(f).dropped() == f.drops {
		return false
	}
	if c, ok := f.x.(countingExchange); ok && !c.forget() {
		return false
	}
	f.spared++
	return true
}

// end reports f's result.
func (l *packetLoop) end(f *packetFlight) {
	r := f.r
	t := f.t
	l.retire(f)
	if r.Timings.Total == 0 && f.sent {
		r.Timings.Total = l.now() - f.began
	}
	r.Timings.Total += r.Timings.Resolve
	l.flying--
	l.feed.Done(t, r)
}

// leave has the rest of f's exchange done on a goroutine.
func (l *packetLoop) leave(f *packetFlight) {
	t, r, x := f.t, f.r, f.x
	began := f.began
	f.x = l.exchange()
	l.retire(f)
	l.away.Go(func() {
		ctx, stop := context.WithTimeout(l.ctx, began+l.setup.timeout-l.now())
		defer stop()
		x.aside(ctx, &r)
		if r.Outcome == muster.Failed {
			cancel(l.ctx, &r)
		}
		r.Timings.Total = l.now() - began
		l.comeBack(packetAway{t: t, r: r})
	})
}

// retire makes f ready for another target.
func (l *packetLoop) retire(f *packetFlight) {
	l.wheel.stop(f)
	l.dequeue(f)
	l.keys[f.key] = nil
	l.used--
	if f.peer.Port() != 0 {
		l.forget(f)
	}
	f.t, f.r = muster.Target{}, muster.Result{}
	l.free = append(l.free, f)
}

// forget takes f out of those with its address.
func (l *packetLoop) forget(f *packetFlight) {
	switch {
	case f.newer != nil:
		f.newer.older = f.older
	case f.older != nil:
		l.peers[f.peer] = f.older
	default:
		delete(l.peers, f.peer)
	}
	if f.older != nil {
		f.older.newer = f.newer
	}
	f.older, f.newer = nil, nil
}

// report hands over the result of a target that has no flight.
func (l *packetLoop) report(t muster.Target, r muster.Result) {
	if r.Timings.Total == 0 {
		r.Timings.Total = time.Since(r.Started)
	}
	l.flying--
	l.feed.Done(t, r)
}
