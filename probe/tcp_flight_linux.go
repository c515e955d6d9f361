package probe

import (
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// start begins the connect of w. It returns false when it was parked.
func (l *sweepLoop) start(w sweepParked) bool {
	r := muster.Result{Started: time.Now()}
	e, d := l.p.at.locate(&w.t)
	if d != nil {
		d.result(&r)
		l.report(&w.t, &r)
		return true
	}
	ap, known, err := l.p.env.Dialer.ResolveCached(e.host, e.addr, e.port)
	if !known {
		l.detour(w.t)
		return true
	}
	if err != nil {
		failIn(&r, err, dial.PhaseResolve)
		l.report(&w.t, &r)
		return true
	}
	r.Address = ap
	fd, connected, err := l.p.env.Dialer.Open(ap)
	if err != nil {
		return l.refused(w, &r, err)
	}
	f := l.newFlight(fd)
	f.t, f.r = w.t, r
	l.add(f)
	if connected {
		l.open(f)
		return true
	}
	const onceWritable = syscall.EPOLLOUT | 1<<31 // EPOLLET
	if err := l.poll.ask(syscall.EPOLL_CTL_ADD, fd, f.slot, onceWritable); err != nil {
		l.end(f, err)
	}
	return true
}

// refused reports a target whose socket could not be opened, or parks it while waiting may help.
func (l *sweepLoop) refused(w sweepParked, r *muster.Result, err error) bool {
	failIn(r, err, dial.PhaseConnect)
	if w.since.IsZero() {
		w.since = r.Started
	}
	if isStarved(r) && time.Since(w.since) < l.bound {
		l.parked = append(l.parked, w)
		l.retryAt = time.Now().Add(parkedPause)
		return false
	}
	l.report(&w.t, r)
	return true
}

// report hands over the result of a target that has no socket.
func (l *sweepLoop) report(t *muster.Target, r *muster.Result) {
	r.Timings.Total = time.Since(r.Started)
	l.flying--
	l.feed.Done(*t, *r)
}

// detour connects on a goroutine, because the name must be looked up again.
func (l *sweepLoop) detour(t muster.Target) { l.detours.start(l.ctx, l.p, t, l.poll.wake) }

// newFlight returns an unused flight for the socket.
func (l *sweepLoop) newFlight(fd int) *sweepFlight {
	var f *sweepFlight
	if n := len(l.free); n > 0 {
		f = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f = &sweepFlight{slot: int32(len(l.flights))}
		l.flights = append(l.flights, f)
	}
	f.fd = fd
	return f
}

// add puts f at the end of those under way: all have the same bound.
func (l *sweepLoop) add(f *sweepFlight) {
	f.prev, f.next = l.last, nil
	if l.last == nil {
		l.first = f
	} else {
		l.last.next = f
	}
	l.last = f
}

// connected goes on once the connect of f has ended, as the events say.
func (l *sweepLoop) connected(f *sweepFlight, events uint32) {
	var pending bool
	var err error
	if events&(syscall.EPOLLOUT|syscall.EPOLLERR|syscall.EPOLLHUP) == syscall.EPOLLOUT {
		err = l.p.env.Dialer.Established(f.fd, f.r.Address)
	} else {
		pending, err = l.p.env.Dialer.Connected(f.fd, f.r.Address)
	}
	switch {
	case pending:
	case err != nil && !wasOpen(err):
		l.end(f, err)
	default:
		l.open(f)
	}
}

// open makes f's target one that accepts.
func (l *sweepLoop) open(f *sweepFlight) {
	f.r.Outcome, f.r.Status = muster.OK, statusConnected
	l.leave(f)
}

// leave reports f's result and closes its socket.
func (l *sweepLoop) leave(f *sweepFlight) {
	f.r.Timings.Total = time.Since(f.r.Started)
	f.r.Timings.Connect = f.r.Timings.Total
	if f.prev == nil {
		l.first = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.last = f.prev
	} else {
		f.next.prev = f.prev
	}
	l.flying--
	l.feed.Done(f.t, f.r)
	l.p.env.Dialer.Close(f.fd)
	f.fd, f.prev, f.next, f.t, f.r = -1, nil, nil, muster.Target{}, muster.Result{}
	l.free = append(l.free, f)
	l.freed = true
}
