package sim

import (
	"errors"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batch       = 64       // datagrams per system call
	receiveRoom = 64 << 20 // bytes of queue asked for, so that a burst is not lost
	controlSize = 64       // bytes of control message: one IP_PKTINFO or IPV6_PKTINFO
)

// socket receives the datagrams of one site.
type socket struct {
	fd      int
	service Service
	guard   bool // ignore what was not sent to a loopback address
	bound   netip.AddrPort
}

// bindSocket opens a datagram socket that tells which address was asked, and can
// answer from any.
func (l *loop) bindSocket(st *site) error {
	if l.packets == nil {
		l.packets = newPackets()
	}
	family := unix.AF_INET
	if st.binding.addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	so := &socket{fd: fd, service: st.service, guard: st.loopback}
	if err := so.bind(st.binding); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	l.sockets = append(l.sockets, so)
	st.binding.addr = so.bound
	return l.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 0)
}

func (so *socket) bind(b binding) error {
	info := [2]int{unix.IPPROTO_IP, unix.IP_PKTINFO}
	if b.addr.Addr().Is6() {
		info = [2]int{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}
	}
	for _, opt := range [][2]int{{unix.SOL_SOCKET, unix.SO_REUSEPORT}, info} {
		if err := unix.SetsockoptInt(so.fd, opt[0], opt[1], 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if unix.SetsockoptInt(so.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveRoom) != nil {
		_ = unix.SetsockoptInt(so.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveRoom) // as much as is allowed
	}
	if b.loopback {
		bindToLoopback(so.fd)
	}
	if err := unix.Bind(so.fd, sockaddrOf(b.addr)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	ep, ok := localEndpoint(so.fd)
	if !ok {
		return errors.New("getsockname: no Internet address")
	}
	so.bound = ep.addr
	return nil
}

func sockaddrOf(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}
	}
	return &unix.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port())}
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	n uint32
	_ [4]byte
}

// envelope is a datagram with its addresses: whom it comes from or goes to, and
// in control which of our addresses it was sent to or is sent from.
type envelope struct {
	peer    unix.RawSockaddrInet6 // the larger of the two families
	control [controlSize]byte
	data    []byte
	iov     unix.Iovec
}

// packets is the room of a loop for datagrams on their way in and out.
type packets struct {
	in, out       [batch]envelope
	inHdr, outHdr [batch]mmsghdr
	queued        int // of out
	icmp          int // raw socket that tells clients off, -1 if there is none
	icmpOpen      bool
}

func newPackets() *packets {
	p := &packets{icmp: -1}
	for i := range p.in {
		p.in[i].data = make([]byte, maxPacket+1)
		p.in[i].address(&p.inHdr[i])
		p.out[i].address(&p.outHdr[i])
	}
	return p
}

// address lets a header point at the envelope, which must not move.
func (e *envelope) address(h *mmsghdr) {
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&e.peer)), unix.SizeofSockaddrInet6
	h.Iov, h.Iovlen = &e.iov, 1
	h.Control = &e.control[0]
}

func (p *packets) close() {
	if p.icmp >= 0 {
		_ = unix.Close(p.icmp)
	}
}

// receive answers what has arrived, up to a batch; the rest waits for its turn.
func (l *loop) receive(so *socket) {
	p := l.packets
	for i := range p.in {
		e, h := &p.in[i], &p.inHdr[i]
		e.iov.Base = unsafe.SliceData(e.data)
		e.iov.SetLen(len(e.data))
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(so.fd), uintptr(unsafe.Pointer(&p.inHdr[0])),
		batch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return // nothing there, or an error of a datagram sent before
	}
	for i := range int(n) {
		e := &p.in[i]
		if ep, ok := so.asked(e); ok {
			l.answerPacket(so, &ep, e, e.data[:p.inHdr[i].n])
		}
	}
	l.flush(so)
}

// asked is the address that a datagram was sent to.
func (so *socket) asked(e *envelope) (endpoint, bool) {
	port := so.bound.Port()
	h := (*unix.Cmsghdr)(unsafe.Pointer(&e.control[0]))
	var ep endpoint
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO:
		ep = endpoint4((*unix.Inet4Pktinfo)(unsafe.Pointer(&e.control[unix.SizeofCmsghdr])).Addr, port)
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&e.control[unix.SizeofCmsghdr]))
		ep = newEndpoint(netip.AddrPortFrom(netip.AddrFrom16(info.Addr), port))
	default:
		return ep, false
	}
	return ep, !so.guard || ep.addr.Addr().IsLoopback()
}

func (l *loop) answerPacket(so *socket, ep *endpoint, from *envelope, payload []byte) {
	g := &l.srv.gauge
	g.requests.Add(1)
	g.received.Add(uint64(len(payload)))
	n := l.srv.tally.request(ep)
	plan := (*script).echoPacket
	if so.service == DNS {
		plan = (*script).dnsPacket
	}
	v := plan(l.srv.script.Load(), &l.scratch, ep, payload, n)
	if v.count == 0 && !v.refused {
		return
	}
	if v.delay == 0 && v.pace == 0 {
		for i := range max(1, v.count) {
			l.sendPacket(so, from.peer, ep, &v, i)
		}
		return
	}
	v.out = append([]byte{}, v.out...)
	late := &lateVolley{socket: so, peer: from.peer, ep: *ep, volley: v}
	l.timers.push(timer{at: l.now + int64(v.delay), volley: late})
}

// lateVolley is what remains of an answer that takes its time.
type lateVolley struct {
	*socket
	volley
	peer unix.RawSockaddrInet6
	ep   endpoint
	next int // datagram
}

func (l *loop) sendLate(v *lateVolley) {
	for {
		l.sendPacket(v.socket, v.peer, &v.ep, &v.volley, v.next)
		v.next++
		if v.next >= v.count {
			break
		}
		if v.pace > 0 {
			l.timers.push(timer{at: l.now + int64(v.pace), volley: v})
			break
		}
	}
	l.flush(v.socket)
}

// sendPacket queues datagram i of a volley.
func (l *loop) sendPacket(so *socket, peer unix.RawSockaddrInet6, ep *endpoint, v *volley, i int) {
	if v.refused {
		l.packets.refuse(peer, ep)
		return
	}
	p := l.packets
	if p.queued == batch {
		l.flush(so)
	}
	e, h := &p.out[p.queued], &p.outHdr[p.queued]
	p.queued++
	e.peer, e.data = peer, append(e.data[:0], v.datagram(i)...)
	h.Namelen = unix.SizeofSockaddrInet4
	if peer.Family == unix.AF_INET6 {
		h.Namelen = unix.SizeofSockaddrInet6
	}
	e.iov.Base = unsafe.SliceData(e.data)
	e.iov.SetLen(len(e.data))
	from := ep.addr.Addr()
	if v.stray && i == 0 {
		from = neighbour(from)
	}
	h.SetControllen(e.sendFrom(from))
}

// sendFrom makes the datagram leave from an address, and returns the size of the
// control message that says so.
func (e *envelope) sendFrom(addr netip.Addr) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&e.control[0]))
	if addr.Is4() {
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(unsafe.Pointer(&e.control[unix.SizeofCmsghdr])) = unix.Inet4Pktinfo{Spec_dst: addr.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(unsafe.Pointer(&e.control[unix.SizeofCmsghdr])) = unix.Inet6Pktinfo{Addr: addr.As16()}
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}

// neighbour is another loopback address than a loopback one.
func neighbour(a netip.Addr) netip.Addr {
	if !a.Is4() {
		return a
	}
	b := a.As4()
	b[3] ^= 1
	if b[3] == 0 {
		b[3] = 2 // not the address of a network
	}
	return netip.AddrFrom4(b)
}

// flush sends what is queued. What the kernel does not take is lost, as
// datagrams may be.
func (l *loop) flush(so *socket) {
	p := l.packets
	for done := 0; done < p.queued; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(so.fd), uintptr(unsafe.Pointer(&p.outHdr[done])),
			uintptr(p.queued-done), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			done++
			continue
		}
		for i := range int(n) {
			l.srv.gauge.sent.Add(uint64(p.outHdr[done+i].n))
		}
		done += int(n)
	}
	p.queued = 0
}
