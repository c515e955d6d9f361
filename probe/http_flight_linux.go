package probe

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// flight is one exchange in an event loop, or the idle connection that one has left. It is reused.
type flight struct {
	slot    int32
	fd      int // -1 while unused
	addr    netip.AddrPort
	phase   dial.Phase
	watched bool // on the epoll instance
	reused  bool // over a connection that was kept
	last    bool // the connection cannot carry another exchange, whatever the answer says
	idle    bool
	keptIn  uint32 // the turn in which it became idle
	near    idleLink
	t       muster.Target
	r       muster.Result
	resp    response
	out     []byte        // what of the request was not taken yet
	began   time.Duration // of the attempt, on the loop's clock
	opened  time.Duration
	written time.Duration
	whole   link // in the timeline of attempts
	part    link // in the timeline of the current phase
}

// bothEdges asks for a socket's changes, not its state: it is registered once, and what is left unread is not
// announced again.
const bothEdges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31 // EPOLLET

// start begins the exchange of w. It returns false when it was parked.
func (l *eventLoop) start(w parked) bool {
	r := muster.Result{Started: time.Now()}
	if w.again {
		r.Started = w.since
	}
	l.target = w.t // on the heap already
	if d := l.p.build(&l.req, &l.target, false); d != nil {
		d.result(&r)
		l.report(w.t, r)
		return true
	}
	ap, ok, err := l.p.env.Dialer.ResolveCached(l.req.host, l.req.addr, l.req.port)
	if !ok {
		l.detour(w.t)
		return true
	}
	if err != nil {
		return l.refused(w, r, err)
	}
	r.Address = ap
	if !w.again && l.reuse(w.t, r) {
		return true
	}
	return l.open(w, r)
}

// open begins the exchange of w over a fresh connection. It returns false when it was parked.
func (l *eventLoop) open(w parked, r muster.Result) bool {
	fd, connected, err := l.p.env.Dialer.Open(r.Address)
	if err != nil {
		failIn(&r, err, dial.PhaseConnect)
		if isStarved(&r) && l.dropOldest() {
			fd, connected, err = l.p.env.Dialer.Open(r.Address)
		}
	}
	if err != nil {
		return l.refused(w, r, err)
	}
	f := l.newFlight(fd)
	l.begin(f, w.t, r)
	if f.opened = f.began; w.again {
		f.opened = l.now()
	}
	if !connected {
		f.phase = dial.PhaseConnect
		l.connecting.add(f, f.opened)
		l.watch(f)
		return true
	}
	f.r.Timings.Connect = l.now() - f.opened
	l.write(f)
	return true
}

// isStarved reports whether a local resource was lacking that may come back.
func isStarved(r *muster.Result) bool { return r.Failure == muster.FailLocal && r.Transient }

// refused reports a target whose socket could not be opened, or parks it while waiting may help.
func (l *eventLoop) refused(w parked, r muster.Result, err error) bool {
	r = muster.Result{Started: r.Started, Address: r.Address}
	failIn(&r, err, dial.PhaseConnect)
	if w.since.IsZero() {
		w.since = r.Started
	}
	if isStarved(&r) && time.Since(w.since) < min(l.p.env.ConnectTimeout, l.p.env.Timeout) {
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
func (l *eventLoop) detour(t muster.Target) { l.detours.start(l.ctx, l.p, t, l.poll.wake) }

// newFlight returns an unused flight for the socket.
func (l *eventLoop) newFlight(fd int) *flight {
	var f *flight
	if n := len(l.free); n > 0 {
		f = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		f = &flight{slot: int32(len(l.flights))}
		l.flights = append(l.flights, f)
	}
	f.fd, f.watched, f.reused, f.last = fd, false, false, false
	return f
}

// begin makes f the exchange with t.
func (l *eventLoop) begin(f *flight, t muster.Target, r muster.Result) {
	f.phase, f.addr, f.t, f.r, f.out = dial.PhaseExchange, r.Address, t, r, nil
	f.began = r.Started.Sub(l.born)
	l.at = max(l.at, f.began)
	f.resp.reset(l.p.response)
	l.total.add(f, f.began)
}

// watch asks for the changes of f's socket; once more, it has what is left announced.
func (l *eventLoop) watch(f *flight) {
	op := syscall.EPOLL_CTL_ADD
	if f.watched {
		op = syscall.EPOLL_CTL_MOD
	}
	if err := l.poll.ask(op, f.fd, f.slot, bothEdges); err != nil {
		l.failed(f, err)
		return
	}
	f.watched = true
}

// connected goes on once the connect of f has ended, as the events say.
func (l *eventLoop) connected(f *flight, events uint32) {
	var pending bool
	var err error
	if events&(syscall.EPOLLOUT|syscall.EPOLLERR|syscall.EPOLLHUP) == syscall.EPOLLOUT {
		err = l.p.env.Dialer.Established(f.fd, f.r.Address)
	} else {
		pending, err = l.p.env.Dialer.Connected(f.fd, f.r.Address)
	}
	if pending {
		return
	}
	l.connecting.remove(f)
	f.r.Timings.Connect = l.now() - f.opened
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
		f.last = true
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
	if !f.watched {
		l.watch(f)
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
		l.watch(f)
		return
	}
	f.out = nil
	l.awaitHead(f)
}

// awaitHead starts the wait for the header, now that the request is written.
func (l *eventLoop) awaitHead(f *flight) {
	if l.waiting.after > 0 && f.resp.state == inHead {
		l.waiting.add(f, f.written)
	}
}

// read takes what has arrived and reports whether the exchange is over. ended says that the peer's direction has,
// which is not announced again.
func (l *eventLoop) read(f *flight, ended bool) bool {
	for range readsInRow {
		n, no := rawRead(f.fd, l.buf)
		at := l.now()
		switch {
		case no == syscall.EAGAIN:
			return false
		case no != 0:
			return l.failed(f, os.NewSyscallError("read", no))
		case n == 0:
			if err := f.resp.eof(); err != nil {
				return l.failed(f, err)
			}
			f.last = true
			return l.answered(f)
		}
		if f.r.Timings.FirstByte == 0 {
			f.r.Timings.FirstByte = max(at-f.written, 1)
		}
		head := f.resp.state == inHead
		used, err := f.resp.feed(l.buf[:n])
		if err != nil {
			return l.failed(f, err)
		}
		if f.resp.state == done {
			// What follows the answer, seen or not, is no answer to the next request.
			f.last = f.last || ended || used < n || n == len(l.buf)
			return l.answered(f)
		}
		if head && f.resp.state != inHead {
			l.inBody(f)
		}
		if n < len(l.buf) && !ended {
			return false // all that had come, and what comes next is announced
		}
	}
	l.watch(f)
	return false
}

// inBody moves f from the wait for its header to that for its body.
func (l *eventLoop) inBody(f *flight) {
	l.waiting.remove(f)
	if l.receiving.after > 0 {
		l.receiving.add(f, l.at)
	}
}

func (l *eventLoop) answered(f *flight) bool {
	l.p.answered(&f.r, f.resp.takeAnswer())
	l.account(f)
	if !l.keep(f) {
		l.hangUp(f)
	}
	return true
}

// failed ends f with err. A deadline's is that of the phase it passed in.
func (l *eventLoop) failed(f *flight, err error) bool {
	phase := dial.PhaseExchange
	if errors.Is(err, os.ErrDeadlineExceeded) {
		phase = f.phase
	}
	failIn(&f.r, err, phase)
	if l.stale(f) {
		l.again(f)
		return true
	}
	return l.end(f)
}

// end reports f's result and closes its socket. It returns true.
func (l *eventLoop) end(f *flight) bool {
	l.account(f)
	l.hangUp(f)
	return true
}

// account reports f's result. The clock has been read since the event that ended it.
func (l *eventLoop) account(f *flight) {
	f.r.Timings.Total = l.at - f.began
	l.leave(f)
	l.flying--
	l.feed.Done(f.t, f.r)
	f.t, f.r = muster.Target{}, muster.Result{}
	f.resp.kept = nil
}

// leave takes f out of the timelines of exchanges.
func (l *eventLoop) leave(f *flight) {
	l.total.remove(f)
	if phase := f.part.in; phase != nil {
		phase.remove(f)
	}
}

// hangUp closes f's socket.
func (l *eventLoop) hangUp(f *flight) {
	l.p.env.Dialer.Close(f.fd)
	f.fd, f.out = -1, nil
	l.free = append(l.free, f)
	l.freed = true
}
