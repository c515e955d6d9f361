package probe

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/dial"
)

const (
	// packetBatch is how many datagrams one call receives.
	packetBatch = 32
	// controlSize holds the control messages that come with one: the time of arrival, the drops, the hop limit, and an
	// error with its origin.
	controlSize = 256
)

// mmsg is the kernel's struct mmsghdr.
type mmsg struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// packetBuffers are what one call of recvmmsg works on.
type packetBuffers struct {
	msgs    [packetBatch]mmsg
	iovs    [packetBatch]unix.Iovec
	names   [packetBatch]unix.RawSockaddrInet6
	control []byte // of all messages
	data    []byte // likewise
	size    int    // of each message's part of data
}

// newReceiving returns buffers for messages of at most the given size.
func newReceiving(size int) *packetBuffers {
	b := &packetBuffers{control: make([]byte, packetBatch*controlSize), data: make([]byte, packetBatch*size), size: size}
	for i := range b.msgs {
		b.point(i, b.data[i*size:(i+1)*size])
	}
	return b
}

// point makes message i work on data.
func (b *packetBuffers) point(i int, data []byte) {
	b.iovs[i].Base = unsafe.SliceData(data)
	b.iovs[i].SetLen(len(data))
	h := &b.msgs[i].hdr
	h.Name, h.Iov = (*byte)(unsafe.Pointer(&b.names[i])), &b.iovs[i]
	h.SetIovlen(1)
}

// rawSendTo sends one datagram. Like all calls of the loop it does not tell the scheduler that it might block.
func rawSendTo(fd int, b []byte, to *unix.RawSockaddrInet6) syscall.Errno {
	size := uintptr(unix.SizeofSockaddrInet4)
	if to.Family == unix.AF_INET6 {
		size = unix.SizeofSockaddrInet6
	}
	_, _, no := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(to)), size)
	return no
}

// receive takes what has come, up to packetBatch messages.
func (b *packetBuffers) receive(fd, flags int) (int, syscall.Errno) {
	for i := range b.msgs {
		h := &b.msgs[i].hdr
		h.Namelen, h.Flags = unix.SizeofSockaddrInet6, 0
		h.Control = &b.control[i*controlSize]
		h.SetControllen(controlSize)
	}
	n, _, no := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[0])), packetBatch, uintptr(flags)|unix.MSG_DONTWAIT, 0, 0)
	if no != 0 {
		return 0, no
	}
	return int(n), 0
}

// message returns message i as it was received.
func (b *packetBuffers) message(i int) (data []byte, from netip.AddrPort, cut bool) {
	m := &b.msgs[i]
	n := min(int(m.n), b.size)
	return b.data[i*b.size : i*b.size+n], addrPort(&b.names[i]), m.hdr.Flags&unix.MSG_TRUNC != 0
}

// rawAddress is ap as the kernel takes it. The error is of a zone that this machine does not have.
func rawAddress(ap netip.AddrPort) (sa unix.RawSockaddrInet6, err error) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], ap.Port())
	if a := ap.Addr(); a.Is4() {
		sa.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&sa)).Addr = a.As4()
		return sa, nil
	}
	sa.Family, sa.Addr = unix.AF_INET6, ap.Addr().As16()
	sa.Scope_id, err = dial.ZoneIndex(ap.Addr())
	return sa, err
}

// addrPort is the reverse, without zones but by number.
func addrPort(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	switch sa.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16(sa.Addr)
		if sa.Scope_id != 0 {
			a = a.WithZone(strconv.Itoa(int(sa.Scope_id)))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// packetNotes are what the kernel says beside a message.
type packetNotes struct {
	wall  time.Duration // since 1970, when it arrived; 0 is unknown
	drops uint32        // messages of the socket that found no room, in all
	ttl   int
	errno syscall.Errno // of an entry of the error queue
	kind  byte          // of the ICMP message that it came from; 0 and 0 otherwise
	code  byte
	icmp  bool
}

// notes reads the control messages of message i.
func (b *packetBuffers) notes(i int) (n packetNotes) {
	rest := b.control[i*controlSize:][:min(int(b.msgs[i].hdr.Controllen), controlSize)]
	for len(rest) >= unix.SizeofCmsghdr {
		h, data, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			return n
		}
		n.read(h.Level, h.Type, data)
		rest = next
	}
	return n
}

func (n *packetNotes) read(level, kind int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
		ts := (*unix.Timespec)(unsafe.Pointer(&data[0]))
		n.wall = time.Duration(ts.Nano())
	case level == unix.SOL_SOCKET && kind == unix.SO_RXQ_OVFL && len(data) >= 4:
		n.drops = binary.NativeEndian.Uint32(data)
	case level == unix.SOL_IP && kind == unix.IP_TTL, level == unix.SOL_IPV6 && kind == unix.IPV6_HOPLIMIT:
		if len(data) >= 4 {
			n.ttl = int(binary.NativeEndian.Uint32(data))
		}
	case level == unix.SOL_IP && kind == unix.IP_RECVERR, level == unix.SOL_IPV6 && kind == unix.IPV6_RECVERR:
		if len(data) >= 7 { // struct sock_extended_err: errno, origin, type, code
			n.errno = syscall.Errno(binary.NativeEndian.Uint32(data))
			n.icmp, n.kind, n.code = data[4] == unix.SO_EE_ORIGIN_ICMP || data[4] == unix.SO_EE_ORIGIN_ICMP6, data[5], data[6]
		}
	}
}
