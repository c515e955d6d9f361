package probe

import (
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// packetSocket is the socket of one address family in a loop, opened at its first use.
type packetSocket struct {
	family  int
	fd      int    // -1 until then
	port    uint16 // our own
	queue   []*packetFlight
	head    int           // of queue; those before it have left
	full    bool          // it takes no more for the present
	drained time.Duration // when it was last found empty
	after   time.Duration // until when the kernel is given time to get rid of what it has
}

// socket returns the socket for an address.
func (l *packetLoop) socket(a netip.Addr) (*packetSocket, error) {
	s := &l.socks[0]
	if !a.Is4() {
		s = &l.socks[1]
	}
	if s.fd >= 0 {
		return s, nil
	}
	fd, err := l.wire.open(s.family)
	if err != nil {
		return nil, err
	}
	if err := l.poll.ask(unix.EPOLL_CTL_ADD, fd, int32(s.family/6), unix.EPOLLIN); err != nil {
		l.setup.dialer.Close(fd)
		return nil, err
	}
	s.fd = fd
	if sa, err := unix.Getsockname(fd); err == nil {
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			s.port = uint16(sa.Port)
		case *unix.SockaddrInet6:
			s.port = uint16(sa.Port)
		}
	}
	return s, nil
}

func (l *packetLoop) sockOf(f *packetFlight) *packetSocket {
	if f.peer.Addr().Is4() {
		return &l.socks[0]
	}
	return &l.socks[1]
}

// watch says whether the loop is told when the socket takes datagrams again.
func (s *packetSocket) watch(p *poller, full bool) {
	events := uint32(unix.EPOLLIN)
	if full {
		events |= unix.EPOLLOUT
	}
	s.full = full && p.ask(unix.EPOLL_CTL_MOD, s.fd, int32(s.family/6), events) == nil
	if !full {
		p.ask(unix.EPOLL_CTL_MOD, s.fd, int32(s.family/6), events)
	}
}

// memDrops is the place of the count of drops in what SO_MEMINFO says (SK_MEMINFO_DROPS).
const memDrops = 8

// dropped returns how many datagrams have found no room in the socket, in all.
func (s *packetSocket) dropped() uint32 {
	var info [memDrops + 1]uint32
	n := uint32(unsafe.Sizeof(info))
	unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	return info[memDrops]
}

func (s *packetSocket) waiting() int { return len(s.queue) - s.head }

// forget empties the queue.
func (s *packetSocket) forget() {
	for _, f := range s.queue[s.head:] {
		f.queued = false
	}
	s.queue, s.head = nil, 0
}

// takes reports whether s takes datagrams for the present.
func (s *packetSocket) takes(now time.Duration) bool { return !s.full && now >= s.after }

func (l *packetLoop) enqueue(f *packetFlight) {
	s := l.sockOf(f)
	f.queued = true
	s.queue = append(s.queue, f)
}

// dequeue takes f out before it has left.
func (l *packetLoop) dequeue(f *packetFlight) {
	if !f.queued {
		return
	}
	s := l.sockOf(f)
	f.queued = false
	if i := slices.Index(s.queue[s.head:], f); i >= 0 {
		s.queue = slices.Delete(s.queue, s.head+i, s.head+i+1)
	}
}

// pop takes the first n out, which have left or never will.
func (s *packetSocket) pop(n int) {
	for _, f := range s.queue[s.head : s.head+n] {
		f.queued = false
	}
	s.head += n
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
}

// send sends what is queued, as far as the socket takes it: one datagram per call, which costs hardly more than
// many, so that the moment in which each left is known.
func (l *packetLoop) send(s *packetSocket) {
	if s.waiting() == 0 || !s.takes(l.now()) {
		return
	}
	drops := s.dropped()
	for s.waiting() > 0 && !s.full {
		f := s.queue[s.head]
		l.out = f.x.payload(append(l.out[:0], l.room...))
		l.wire.seal(l.out, s.family, f.key)
		at := l.now()
		if no := rawSendTo(s.fd, l.out, &f.to); no != 0 {
			if l.unsent(s, no); at < s.after {
				return
			}
			continue
		}
		s.pop(1)
		f.drops = drops
		l.left(f, at)
	}
}

// left notes that f's datagram has left.
func (l *packetLoop) left(f *packetFlight, at time.Duration) {
	if !f.sent {
		f.sent, f.began = true, at
		f.r.Started, f.r.Sent = l.born.Add(at), true
	}
	f.retry, f.again = 0, 0
	f.x.sent(at)
	l.arm(f, at+f.wait)
}

const (
	// maxResend bounds how often a datagram is tried again whose sending ended with an error.
	maxResend = 3
	// maxAgain bounds it while errors about other datagrams keep coming.
	maxAgain = 100
	// maxCongested bounds it when the kernel or a queue to the network has no room, and congestionPause is the time between.
	maxCongested    = 100
	congestionPause = 10 * time.Millisecond
)

// unsent looks after the first datagram of the queue, whose sending ended with an error. That may be the
// word of an ICMP message about an earlier one: only an error that comes again is its own.
func (l *packetLoop) unsent(s *packetSocket, no syscall.Errno) {
	f := s.queue[s.head]
	switch {
	case no == unix.EINTR:
		return
	case no == unix.EAGAIN:
		s.watch(l.poll, true)
		return
	case no == unix.ENOBUFS || no == unix.ENOMEM:
		if f.retry < maxCongested {
			f.retry++
			s.after = l.now() + congestionPause
			return
		}
	case f.retry < maxResend && f.again < maxAgain:
		f.retry++
		before := l.quotes
		if l.receive(s, unix.MSG_ERRQUEUE); l.quotes != before && f.queued {
			f.retry, f.again = 0, f.again+1 // it may have been of one of those
		}
		return
	}
	s.pop(1)
	e := sendFault(no)
	switch {
	case e.failure != muster.FailLocal:
		if f.sent {
			f.x.sent(l.now()) // or an exchange that goes on would try this one for ever
		}
		l.follow(f, f.x.received(&arrival{peer: f.peer, at: l.now(), err: e}, &f.r))
	case f.sent:
		l.left(f, l.now()) // lost like any other on its way
	default:
		fail(&f.r, e)
		l.end(f)
	}
}

// sendFault returns the fault that a failed sending is.
func sendFault(no syscall.Errno) *fault {
	switch no {
	case unix.EINVAL: // what a route of type blackhole says
		return errNoRoute
	case unix.EMSGSIZE:
		return errTooBig
	}
	e := dial.Classify(os.NewSyscallError("sendto", no), dial.PhaseExchange)
	return &fault{e.Failure, e.Reason, e.Detail, e.Transient}
}

// receive takes what has come for the socket, or to its error queue, and reports whether that was all.
func (l *packetLoop) receive(s *packetSocket, flags int) bool {
	for range packetRounds {
		n, no := l.in.receive(s.fd, flags)
		switch {
		case no == unix.EAGAIN:
			s.drained = l.now()
			return true
		case no != 0:
			continue // an error that the error queue says more about
		}
		now := time.Now()
		for i := range n {
			l.take(s, i, now, flags&unix.MSG_ERRQUEUE != 0)
		}
		if n < packetBatch {
			s.drained = now.Sub(l.born)
			return true
		}
	}
	return false
}

// take hands message i to the exchange that it concerns.
func (l *packetLoop) take(s *packetSocket, i int, now time.Time, quote bool) {
	data, from, cut := l.in.message(i)
	notes := l.in.notes(i)
	a := &l.arrival
	*a = arrival{peer: bareAddr(from), data: data, cut: cut, ttl: notes.ttl, at: arrivedAt(now, notes.wall, now.Sub(l.born)-s.drained).Sub(l.born)}
	if quote {
		l.quotes++
		if a.err = notes.fault(s.family); a.err == nil {
			return
		}
		l.wire.readQuote(a, s.family)
	} else if !l.wire.read(a, s.family) {
		return
	}
	l.deliver(a)
}

// fault is what an entry of the error queue means; nil when it refuses nothing.
func (n *packetNotes) fault(family int) *fault {
	switch {
	case n.icmp:
		return icmpFault(family, n.kind, n.code)
	case n.errno != 0:
		return sendFault(n.errno)
	}
	return nil
}

// queueing is how long a message may take from the kernel's note of its arrival to the socket.
const queueing = 10 * time.Millisecond

// arrivedAt is when a message arrived by the kernel's clock. That may have been set meanwhile: nothing can have come before
// the socket was found empty, so long ago.
func arrivedAt(now time.Time, wall, empty time.Duration) time.Time {
	age := time.Duration(now.UnixNano()) - wall
	if wall == 0 || age < 0 || age > empty+queueing {
		return now
	}
	return now.Add(-age)
}

// deliver hands a to its exchange, if there is one: by the key, if the peer is the right one, or by the peer alone. A datagram
// with a key that the peer was not given concerns all that is under way to it, as garbage does.
func (l *packetLoop) deliver(a *arrival) {
	if !a.bare {
		if f := l.keys[a.key]; f != nil && f.peer == a.peer && f.sent {
			l.follow(f, f.x.received(a, &f.r))
			return
		}
		if a.err != nil {
			return // of an exchange that is over
		}
	}
	first := l.peers[a.peer]
	if first == nil {
		l.strays++
	}
	for f := first; f != nil; {
		next := f.older
		if f.sent {
			l.follow(f, f.x.received(a, &f.r))
		}
		f = next
	}
}
