package probe

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// flight is one exchange in an event loop. It is reused.
type flight struct {
	slot    int32
	fd      int // -1 while unused
	phase   dial.Phase
	watched bool // on the epoll instance
	edge    bool // edge-triggered: what is left unread is not announced again
	t       muster.Target
	r       muster.Result
	resp    response
	out     []byte        // what of the request was not taken yet
	began   time.Duration // of the attempt, on the loop's clock
	written time.Duration
	whole   link // in the timeline of attempts
	part    link // in the timeline of the current phase
}

// bothEdges asks for a socket's changes, not its state.
const bothEdges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31 // EPOLLET

// start begins the exchange with t, which a local resource has kept waiting since the given time, zero for not
// at all: waiting is no part of the attempt. It returns false when t was parked.
func (l *eventLoop) start(t muster.Target, since time.Time) bool {
	r := muster.Result{Started: time.Now()}
	if since.IsZero() {
		since = r.Started
	}
	if d := l.p.build(&l.req, &t, false); d != nil {
		d.result(&r)
		l.report(t, r)
		return true
	}
	ap, ok, err := l.p.env.Dialer.ResolveCached(l.req.host, l.req.addr, l.req.port)
	if !ok {
		l.detour(t)
		return true
	}
	var fd int
	connected := false
	if err == nil {
		r.Address = ap
		fd, connected, err = l.p.env.Dialer.Open(ap)
	}
	if err != nil {
		return l.refused(parked{t, since}, r, err)
	}
	f := l.newFlight(t, r, fd)
	if !connected {
		f.phase = dial.PhaseConnect
		l.connecting.add(l, f)
		// Edge-triggered for both, the socket need not be registered again once it is connected.
		f.edge = true
		l.watch(f, bothEdges)
		return true
	}
	f.r.Timings.Connect = l.now() - f.began
	l.write(f)
	return true
}

// refused reports a target whose socket could not be opened, or parks it while waiting may help.
func (l *eventLoop) refused(w parked, r muster.Result, err error) bool {
	failIn(&r, err, dial.PhaseConnect)
	starved := r.Failure == muster.FailLocal && r.Transient
	if starved && time.Since(w.since) < min(l.p.env.ConnectTimeout, l.p.env.Timeout) {
		l.parked = append(l.parked, w)
		l.retryAt = l.now() + parkedPause
		return false
	}
	l.report(w.t, r)
	return true
}

// report hands over the result of a target that has no socket.
func (l *eventLoop) report(t muster.Target, r muster.Result) {
	r.Timings.Total = time.Since(r.Started)
	l.flying--
	l.feed.Done(t, r)
}

// detour does the exchange on a goroutine, because its name must be looked up again.
func (l *eventLoop) detour(t muster.Target) {
	l.away.Go(func() {
		r := l.p.Probe(l.ctx, t)
		l.mu.Lock()
		l.detours = append(l.detours, &detourDone{t, r})
		l.mu.Unlock()
		l.wake()
	})
}

func (l *eventLoop) newFlight(t muster.Target, r muster.Result, fd int) *flight {
	var f *flight
	if n := len(l.free); n > 0 {
		f = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f = &flight{slot: int32(len(l.flights))}
		l.flights = append(l.flights, f)
	}
	f.fd, f.phase, f.watched, f.edge, f.t, f.r, f.out = fd, dial.PhaseExchange, false, false, t, r, nil
	f.began = r.Started.Sub(l.born)
	f.resp.reset(l.p.response)
	l.total.add(l, f)
	return f
}

// watch asks for the events of f's socket.
func (l *eventLoop) watch(f *flight, events uint32) {
	op := syscall.EPOLL_CTL_ADD
	if f.watched {
		op = syscall.EPOLL_CTL_MOD
	}
	ev := syscall.EpollEvent{Events: events, Fd: f.slot}
	if no := rawEpollCtl(l.ep, op, f.fd, &ev); no != 0 {
		l.failed(f, os.NewSyscallError("epoll_ctl", no))
		return
	}
	f.watched = true
}

// connected goes on once the connect of f has ended.
func (l *eventLoop) connected(f *flight) {
	pending, err := l.p.env.Dialer.Connected(f.fd, f.r.Address)
	if pending {
		return
	}
	l.connecting.remove(f)
	f.r.Timings.Connect = l.now() - f.began
	if err != nil {
		failIn(&f.r, err, dial.PhaseConnect)
		l.end(f)
		return
	}
	f.phase = dial.PhaseExchange
	// The request is built again rather than kept while it waits.
	if d := l.p.build(&l.req, &f.t, false); d != nil {
		d.result(&f.r)
		l.end(f)
		return
	}
	l.write(f)
}

// write sends the request that was built last.
func (l *eventLoop) write(f *flight) {
	n, no := rawSend(f.fd, l.req.raw)
	f.written = l.now()
	if no != 0 && no != syscall.EAGAIN {
		// A server that refuses early may have answered before it closed.
		if !l.read(f, true) {
			l.failed(f, os.NewSyscallError("write", no))
		}
		return
	}
	f.r.Sent = n > 0
	if n < len(l.req.raw) {
		f.out = append(f.out, l.req.raw[n:]...)
	} else {
		l.awaitHead(f)
	}
	switch {
	case f.edge:
	case len(f.out) > 0:
		l.watch(f, syscall.EPOLLIN|syscall.EPOLLOUT)
	default:
		l.watch(f, syscall.EPOLLIN)
	}
}

func (l *eventLoop) writeRest(f *flight) {
	n, no := rawSend(f.fd, f.out)
	if no == syscall.EAGAIN {
		return
	}
	if no != 0 {
		l.failed(f, os.NewSyscallError("write", no))
		return
	}
	f.r.Sent = true
	f.written = l.now()
	if f.out = f.out[n:]; len(f.out) > 0 {
		if f.edge {
			l.watch(f, bothEdges)
		}
		return
	}
	f.out = nil
	l.awaitHead(f)
	if !f.edge {
		l.watch(f, syscall.EPOLLIN)
	}
}

// awaitHead starts the wait for the header, now that the request is written.
func (l *eventLoop) awaitHead(f *flight) {
	if l.waiting.after > 0 && f.resp.state == inHead {
		l.waiting.add(l, f)
	}
}

// read takes what has arrived and reports whether the exchange is over. ended says that the peer's direction has,
// which is not announced again behind an edge.
func (l *eventLoop) read(f *flight, ended bool) bool {
	for range readsInRow {
		n, no := rawRead(f.fd, l.buf)
		switch {
		case no == syscall.EAGAIN:
			return false
		case no != 0:
			return l.failed(f, os.NewSyscallError("read", no))
		case n == 0:
			if err := f.resp.eof(); err != nil {
				return l.failed(f, err)
			}
			return l.answered(f)
		}
		if f.r.Timings.FirstByte == 0 {
			f.r.Timings.FirstByte = max(l.now()-f.written, 1)
		}
		head := f.resp.state == inHead
		if _, err := f.resp.feed(l.buf[:n]); err != nil {
			return l.failed(f, err)
		}
		if f.resp.state == done {
			return l.answered(f)
		}
		if head && f.resp.state != inHead {
			l.inBody(f)
		}
		if n < len(l.buf) && !(f.edge && ended) {
			return false // all that had come, and what comes next is announced
		}
	}
	if f.edge {
		l.watch(f, bothEdges) // announces what is left
	}
	return false
}

// inBody moves f from the wait for its header to that for its body.
func (l *eventLoop) inBody(f *flight) {
	l.waiting.remove(f)
	if l.receiving.after > 0 {
		l.receiving.add(l, f)
	}
}

func (l *eventLoop) answered(f *flight) bool {
	l.p.answered(&f.r, f.resp.takeAnswer())
	return l.end(f)
}

// failed ends f with err. A deadline's is that of the phase it passed in.
func (l *eventLoop) failed(f *flight, err error) bool {
	phase := dial.PhaseExchange
	if errors.Is(err, os.ErrDeadlineExceeded) {
		phase = f.phase
	}
	failIn(&f.r, err, phase)
	return l.end(f)
}

// end closes f's socket and reports its result. It returns true.
func (l *eventLoop) end(f *flight) bool {
	l.p.env.Dialer.Close(f.fd)
	f.r.Timings.Total = l.now() - f.began
	f.fd, f.out = -1, nil
	l.total.remove(f)
	for _, tl := range []*timeline{&l.connecting, &l.waiting, &l.receiving} {
		tl.remove(f)
	}
	l.free = append(l.free, f)
	l.flying--
	l.freed = true
	l.feed.Done(f.t, f.r)
	f.t, f.r = muster.Target{}, muster.Result{}
	f.resp.kept = nil
	return true
}
