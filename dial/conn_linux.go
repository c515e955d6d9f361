package dial

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// conn is a TCP connection on the runtime's poller.
type conn struct {
	file   *os.File
	remote netip.AddrPort
	budget *Budget
	closed atomic.Bool
}

var (
	_ net.Conn     = (*conn)(nil)
	_ syscall.Conn = (*conn)(nil)
)

// Read reads like a [net.TCPConn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.file.Read(b)
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	return n, err
}

// Write writes like a [net.TCPConn].
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// opError gives err the form in which package net reports it.
func (c *conn) opError(op string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if no, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, no)
	}
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: c.RemoteAddr(), Err: err}
}

// Close closes the connection and gives its descriptor back to the budget.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return c.opError("close", net.ErrClosed)
	}
	err := c.file.Close()
	c.budget.Release()
	return err
}

// CloseWrite ends our direction; the peer reads an end of file.
func (c *conn) CloseWrite() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return c.opError("close", err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) { serr = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return c.opError("close", err)
	}
	if serr != nil {
		return c.opError("close", serr)
	}
	return nil
}

// LocalAddr returns our end, nil when the connection is closed.
func (c *conn) LocalAddr() net.Addr {
	ap := c.localAddrPort()
	if !ap.IsValid() {
		return nil
	}
	return net.TCPAddrFromAddrPort(ap)
}

func (c *conn) localAddrPort() (ap netip.AddrPort) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return ap
	}
	raw.Control(func(fd uintptr) { ap = localOf(int(fd)) })
	return ap
}

// localOf returns the local end of a socket, the zero value when it has none. Every connect to a loopback address asks
// for it, which is why it does without the allocations of [unix.Getsockname].
func localOf(fd int) netip.AddrPort {
	var sa unix.RawSockaddrInet6
	n := uint32(unsafe.Sizeof(sa))
	if _, _, no := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n))); no != 0 {
		return netip.AddrPort{}
	}
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // in network order, and at the same place in both families
	switch sa.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), binary.BigEndian.Uint16(port[:]))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), binary.BigEndian.Uint16(port[:]))
	}
	return netip.AddrPort{}
}

// RemoteAddr returns the peer's end.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline sets the deadline of reads.
func (c *conn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of writes.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }

// SyscallConn gives access to the socket.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }
