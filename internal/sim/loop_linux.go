package sim

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	acceptBurst = 64                    // connections taken before others get a turn
	acceptPause = 10 * time.Millisecond // rest after running out of descriptors
	sweepEvery  = time.Second           // between searches for idle connections
)

// loop is one epoll event loop with listening sockets of its own (SO_REUSEPORT
// spreads connections among loops). Its thread owns everything but the atomics.
type loop struct {
	srv       *Server
	epoll     int
	wake      int // eventfd that ends a wait
	listeners []*listener
	sockets   []*socket // of datagrams
	packets   *packets  // nil without sockets
	conns     []*conn   // by descriptor
	free      []*conn
	youngest  uint32 // generation of the last connection
	open      int
	timers    timers
	paused    bool
	sweepAt   int64
	now       int64 // nanoseconds since born, as of the last wait
	born      time.Time
	in        []byte // what was read, valid during one event
	scratch   scratch
	events    []unix.EpollEvent
	stopping  atomic.Bool
	thread    threadClock
}

func newLoop(s *Server) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(epoll))
	}
	l := &loop{
		srv: s, epoll: epoll, wake: wake, born: time.Now(),
		in: make([]byte, 64<<10), events: make([]unix.EpollEvent, 512),
	}
	if err := l.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN, 0); err != nil {
		return nil, errors.Join(err, unix.Close(wake), unix.Close(epoll))
	}
	return l, nil
}

func (l *loop) add(ln *listener) error {
	l.listeners = append(l.listeners, ln)
	return l.control(unix.EPOLL_CTL_ADD, ln.fd, unix.EPOLLIN, 0)
}

func (l *loop) control(op, fd int, events, generation uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(generation)}
	if err := unix.EpollCtl(l.epoll, op, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// run serves on a thread of its own, whose clock tells the loop's processor time.
func (l *loop) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.thread.begin()
	defer l.thread.end()
	defer l.close()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		l.stopping.Store(true)
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only if already signalled
	})
	defer func() {
		if !stop() {
			<-woken // the descriptor must outlive the call
		}
	}()
	for !l.stopping.Load() {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// turn waits for events and timers and handles them.
func (l *loop) turn() error {
	n, err := unix.EpollWait(l.epoll, l.events, l.timeout())
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("epoll_wait", err)
	}
	l.now = int64(time.Since(l.born))
	for i := range max(n, 0) {
		l.handle(&l.events[i])
	}
	l.expire()
	if l.now >= l.sweepAt {
		l.sweep()
		l.sweepAt = l.now + int64(sweepEvery)
	}
	return nil
}

// timeout is how long the next wait may last, in milliseconds.
func (l *loop) timeout() int {
	until := l.sweepAt
	if len(l.timers) > 0 {
		until = min(until, l.timers[0].at)
	}
	wait := time.Duration(until) - time.Since(l.born)
	return int(max(0, (wait+time.Millisecond-1)/time.Millisecond))
}

func (l *loop) handle(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.wake {
		return
	}
	for _, ln := range l.listeners {
		if fd == ln.fd {
			l.accept(ln)
			return
		}
	}
	for _, so := range l.sockets {
		if fd == so.fd {
			l.receive(so)
			return
		}
	}
	if fd < len(l.conns) {
		if c := l.conns[fd]; c != nil && c.generation == uint32(ev.Pad) {
			l.event(c, ev.Events)
		}
	}
}

func (l *loop) accept(ln *listener) {
	if l.paused {
		return
	}
	for range acceptBurst {
		if limit := l.srv.fleet.MaxOpen; limit > 0 && l.open >= limit {
			l.pause()
			return
		}
		fd, errno := acceptRaw(ln.fd)
		switch errno {
		case 0:
			l.welcome(ln, fd)
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.pause()
			return
		default: // EAGAIN, or an error of the connection that never came to be
			return
		}
	}
}

// pause stops accepting for a moment, so that a loop without descriptors serves
// what is open instead of spinning; clients wait in the accept queue.
func (l *loop) pause() {
	l.paused = true
	l.srv.gauge.pauses.Add(1)
	l.watchListeners(0)
	l.timers.push(timer{at: l.now + int64(acceptPause)})
}

func (l *loop) resume() {
	l.paused = false
	l.watchListeners(unix.EPOLLIN)
}

func (l *loop) watchListeners(events uint32) {
	for _, ln := range l.listeners {
		_ = l.control(unix.EPOLL_CTL_MOD, ln.fd, events, 0) // cannot fail for a member of the set
	}
}

// expire runs the timers that are due; one without a connection or a volley ends a pause.
func (l *loop) expire() {
	for len(l.timers) > 0 && l.timers[0].at <= l.now {
		t := l.timers.pop()
		switch {
		case t.volley != nil:
			l.sendLate(t.volley)
		case t.conn == nil:
			l.resume()
		case t.conn.generation == t.generation:
			l.due(t.conn)
		}
	}
}

// sweep closes the connections that wait for a request for too long.
func (l *loop) sweep() {
	limit := l.now - int64(l.srv.fleet.idle())
	for _, c := range l.conns {
		if c != nil && c.state == reading && c.active < limit {
			l.drop(c)
		}
	}
}

// close closes every socket of the loop.
func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			l.drop(c)
		}
	}
	for _, ln := range l.listeners {
		_ = unix.Close(ln.fd)
	}
	for _, so := range l.sockets {
		_ = unix.Close(so.fd)
	}
	if l.packets != nil {
		l.packets.close()
	}
	_ = unix.Close(l.wake)
	_ = unix.Close(l.epoll)
}

func (l *loop) cpu() (time.Duration, bool) { return l.thread.read(), true }
