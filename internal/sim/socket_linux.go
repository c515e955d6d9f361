package sim

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// backlog asks for the longest accept queue; the kernel cuts it to somaxconn.
const backlog = 1 << 16

// listener is one listening socket.
type listener struct {
	fd      int
	bound   netip.AddrPort
	guard   bool     // refuse what was not sent to a loopback address
	fixed   endpoint // of every connection, unless bound to a wildcard address
	wild    bool
	service Service
}

func listenRaw(b binding) (*listener, error) {
	family := unix.AF_INET
	if b.addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	ln := &listener{fd: fd, guard: b.loopback, wild: b.addr.Addr().IsUnspecified()}
	if err := ln.bind(b); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return ln, nil
}

func (ln *listener) bind(b binding) error {
	for _, opt := range [][2]int{{unix.SOL_SOCKET, unix.SO_REUSEADDR}, {unix.SOL_SOCKET, unix.SO_REUSEPORT}, {unix.IPPROTO_TCP, unix.TCP_NODELAY}} {
		if err := unix.SetsockoptInt(ln.fd, opt[0], opt[1], 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if b.loopback {
		bindToLoopback(ln.fd)
	}
	var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: b.addr.Addr().As16(), Port: int(b.addr.Port())}
	if b.addr.Addr().Is4() {
		sa = &unix.SockaddrInet4{Addr: b.addr.Addr().As4(), Port: int(b.addr.Port())}
	}
	if err := unix.Bind(ln.fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(ln.fd, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	ep, ok := localEndpoint(ln.fd)
	if !ok {
		return errors.New("getsockname: no Internet address")
	}
	ln.bound, ln.fixed = ep.addr, ep
	return nil
}

// bindToLoopback keeps other machines out. Where the kernel refuses, the guard
// still turns their connections away.
func bindToLoopback(fd int) {
	_ = unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo")
}

// loopbackControl is bindToLoopback for [net.ListenConfig].
func loopbackControl(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { bindToLoopback(int(fd)) })
}

// endpoint is the address that the client of an accepted connection chose.
func (ln *listener) endpoint(fd int) (endpoint, bool) {
	if !ln.wild {
		return ln.fixed, true
	}
	ep, ok := localEndpoint(fd)
	return ep, ok && (!ln.guard || ep.addr.Addr().IsLoopback())
}

// The calls below never block, so they skip the scheduler's bookkeeping.

func localEndpoint(fd int) (endpoint, bool) {
	var sa unix.RawSockaddrInet6 // the larger of the two families
	size := uint32(unix.SizeofSockaddrInet6)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return endpoint{}, false
	}
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return endpoint4(sa4.Addr, swap(sa4.Port)), true
	case unix.AF_INET6:
		return newEndpoint(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), swap(sa.Port))), true
	}
	return endpoint{}, false
}

// swap converts a port from network to host order on the little-endian
// machines that this file's architectures are.
func swap(port uint16) uint16 { return port<<8 | port>>8 }

func acceptRaw(fd int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

func readRaw(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func writeRaw(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// resetOnClose makes the close of a descriptor an RST.
func resetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// threadClock reads the processor time of one thread from any other.
type threadClock struct {
	id    atomic.Int32 // 0 before begin and after end
	base  atomic.Int64
	final atomic.Int64
}

func (t *threadClock) begin() {
	// A CPU clock id is the inverted thread id above two flag bits: per-thread, scheduler time.
	id := int32(^unix.Gettid()<<3 | 6)
	t.base.Store(readClock(id))
	t.id.Store(id)
}

func (t *threadClock) end() {
	t.final.Store(int64(t.read()))
	t.id.Store(0)
}

func (t *threadClock) read() time.Duration {
	id := t.id.Load()
	if id == 0 {
		return time.Duration(t.final.Load())
	}
	return time.Duration(max(0, readClock(id)-t.base.Load()))
}

func readClock(id int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return ts.Nano()
}
