package probe

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// poller waits for the sockets of one event loop, and for whoever wakes it.
type poller struct {
	ep       int
	events   []syscall.EpollEvent
	signaled atomic.Bool
	mu       sync.Mutex
	wakeFD   int // guarded by mu; -1 when closed
}

// newPoller returns a poller that reports up to the given number of events at once.
func newPoller(events int) (*poller, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	fd, _, no := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if no != 0 {
		syscall.Close(ep)
		return nil, os.NewSyscallError("eventfd2", no)
	}
	p := &poller{ep: ep, wakeFD: int(fd), events: make([]syscall.EpollEvent, events)}
	if err := p.ask(syscall.EPOLL_CTL_ADD, p.wakeFD, -1, syscall.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// ask has the events of a descriptor reported under the given name; names of descriptors are not negative.
func (p *poller) ask(op, fd int, name int32, events uint32) error {
	ev := syscall.EpollEvent{Events: events, Fd: name}
	if no := rawEpollCtl(p.ep, op, fd, &ev); no != 0 {
		return os.NewSyscallError("epoll_ctl", no)
	}
	return nil
}

// wake ends the present wait, or the next. It may be called at any time, even after the end.
func (p *poller) wake() {
	if p.signaled.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakeFD >= 0 {
		one := [8]byte{1}
		syscall.Write(p.wakeFD, one[:])
	}
}

// rest takes note of the wake.
func (p *poller) rest() {
	var b [8]byte
	syscall.Read(p.wakeFD, b[:])
	p.signaled.Store(false)
}

// poll returns what has happened, without waiting and so without telling the scheduler. The events are
// valid until the next call.
func (p *poller) poll() []syscall.EpollEvent {
	n, _, no := rawEpollPoll(p.ep, p.events)
	if no != 0 {
		return nil
	}
	return p.events[:n]
}

// wait returns what has happened, after at most the given time; a negative time is for ever. The
// events are valid until the next call.
func (p *poller) wait(d time.Duration) []syscall.EpollEvent {
	if ready := p.poll(); len(ready) > 0 || d == 0 {
		return ready
	}
	millis := -1
	if d >= 0 {
		millis = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := syscall.EpollWait(p.ep, p.events, millis)
	if err != nil {
		return nil // interrupted
	}
	return p.events[:n]
}

func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	syscall.Close(p.wakeFD)
	p.wakeFD = -1
	syscall.Close(p.ep)
}
