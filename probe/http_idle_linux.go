package probe

import (
	"github.com/musterhq/muster"
)

// An event loop keeps a connection by leaving its flight and its socket as they are: still watched, listed by
// address, and in the timeline of the idle ones. They are bounded by the share of descriptors that all
// idle connections of the prober may take, and to one server by how many attempts it had at once.

// idleLink is a flight's place among the idle ones of its address.
type idleLink struct {
	above, below *flight
}

// keep makes f, whose answer is complete, an idle connection, and reports whether it may be one.
func (l *eventLoop) keep(f *flight) bool {
	if l.over || f.last || f.resp.close || len(f.out) > 0 || !l.p.idle.claim() {
		return false
	}
	f.idle, f.keptIn = true, l.turn
	f.near = idleLink{below: l.idle[f.addr]}
	if f.near.below != nil {
		f.near.below.near.above = f
	}
	l.idle[f.addr] = f
	l.idling.add(f, l.at)
	return true
}

// unkeep takes f out of the idle ones.
func (l *eventLoop) unkeep(f *flight) {
	above, below := f.near.above, f.near.below
	if below != nil {
		below.near.above = above
	}
	switch {
	case above != nil:
		above.near.below = below
	case below != nil:
		l.idle[f.addr] = below
	default:
		delete(l.idle, f.addr)
	}
	f.idle, f.near = false, idleLink{}
	l.idling.remove(f)
	l.p.idle.unclaim()
}

// reuse sends the request that was built last over the connection to its address that was used last, if there is one.
func (l *eventLoop) reuse(t muster.Target, r muster.Result) bool {
	for f := l.idle[r.Address]; f != nil; f = l.idle[r.Address] {
		if !l.alive(f) {
			l.drop(f)
			continue
		}
		l.unkeep(f)
		f.reused = true
		l.begin(f, t, r)
		l.write(f)
		return true
	}
	return false
}

// alive reports whether nothing has come over f since its answer. If that has only just been read, a safe request
// may find out by itself; any other must not be risked.
func (l *eventLoop) alive(f *flight) bool {
	return f.keptIn == l.turn && l.p.env.Repeat == muster.RepeatSafe || quietSocket(f.fd)
}

// drop closes the idle f.
func (l *eventLoop) drop(f *flight) {
	l.unkeep(f)
	l.hangUp(f)
}

// dropOldest closes the connection that has been idle for longest, if there is one.
func (l *eventLoop) dropOldest() bool {
	f := l.idling.first
	if f != nil {
		l.drop(f)
	}
	return f != nil
}

// stale reports whether f failed because the peer had given up its kept connection, so that the request may go
// to a fresh one.
func (l *eventLoop) stale(f *flight) bool {
	return f.reused && f.r.Failure == muster.FailReset && !f.resp.begun() &&
		(!f.r.Sent || l.p.env.Repeat == muster.RepeatSafe)
}

// again has the target of f, which is stale, started once more, over a connection of its own. The attempt goes on.
// It is not started here: its new socket could take the slot of one that this turn still has an event of.
func (l *eventLoop) again(f *flight) {
	l.parked = append(l.parked, parked{t: f.t, since: f.r.Started, again: true})
	l.moreWork, l.retryAt = true, 0
	l.leave(f)
	l.hangUp(f)
	f.t, f.r = muster.Target{}, muster.Result{}
}
