package dial

import (
	"context"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connect opens a connection whose Close releases b. Package net's own dialer does the same
// with more system calls and a goroutine per attempt that watches ctx.
func connect(ctx context.Context, ap netip.AddrPort, source netip.Addr, b *Budget) (*conn, error) {
	fd, done, err := startConnect(ap, source)
	if err != nil {
		return nil, err
	}
	// The socket is registered with the runtime's poller only now: an unconnected one
	// would wake us at once.
	c := &conn{file: os.NewFile(uintptr(fd), "tcp"), remote: ap, budget: b}
	if !done {
		err = c.waitConnect(ctx)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		c.file.Close()
		return nil, dialError(ap, "connect", err)
	}
	return c, nil
}

// startConnect begins a non-blocking connect; done says that it is over already.
func startConnect(ap netip.AddrPort, source netip.Addr) (fd int, done bool, err error) {
	sa, family, err := sockaddr(ap)
	if err != nil {
		return -1, false, err
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, dialError(ap, "socket", err)
	}
	if source.IsValid() {
		if err := bindSource(fd, source, family); err != nil {
			unix.Close(fd)
			return -1, false, err
		}
	}
	switch err := unix.Connect(fd, sa); err {
	case nil:
		return fd, true, nil
	case unix.EINPROGRESS, unix.EINTR:
		return fd, false, nil
	default:
		unix.Close(fd)
		return -1, false, dialError(ap, "connect", err)
	}
}

// bindSource leaves the port to connect, so that each destination has all local ports.
func bindSource(fd int, source netip.Addr, family int) error {
	sa, f, err := sockaddr(netip.AddrPortFrom(source, 0))
	if err != nil {
		return err
	}
	if f != family {
		return sourceError(source, unix.EAFNOSUPPORT)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return sourceError(source, err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		return sourceError(source, err)
	}
	return nil
}

func sockaddr(ap netip.AddrPort) (unix.Sockaddr, int, error) {
	a := ap.Addr()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}, unix.AF_INET, nil
	}
	zone, err := ZoneIndex(a)
	if err != nil {
		return nil, 0, err
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16(), ZoneId: zone}, unix.AF_INET6, nil
}

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// waitConnect waits until the connect that is under way is over, or ctx.
func (c *conn) waitConnect(ctx context.Context) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	deadline, timed := ctx.Deadline()
	if timed {
		c.file.SetWriteDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { c.file.SetWriteDeadline(past) })
	var result error
	werr := raw.Write(func(fd uintptr) bool {
		// Asked before the first wait too: the poller forgets an event that came before that.
		result = socketError(int(fd))
		return result != unix.EINPROGRESS
	})
	if !stop() {
		return context.Cause(ctx)
	}
	if werr != nil {
		return werr
	}
	if timed && result == nil {
		c.file.SetWriteDeadline(time.Time{})
	}
	if result == nil && selfConnected(c.remote, c.localAddrPort) {
		return syscall.ECONNREFUSED
	}
	return result
}

// socketError returns how a connect ended; EINPROGRESS while it has not.
func socketError(fd int) error {
	no, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if no != 0 {
		return syscall.Errno(no)
	}
	if _, err := unix.Getpeername(fd); err != nil {
		if err == unix.ENOTCONN {
			return unix.EINPROGRESS
		}
		return err
	}
	return nil
}

// firstEphemeral is the lowest port that a kernel gives out by itself on any common setting.
const firstEphemeral = 1024

// selfConnected reports whether a loopback socket met itself: with nobody listening on a port of the
// ephemeral range the kernel may pick that very port for our end, and TCP's simultaneous open does the rest.
func selfConnected(remote netip.AddrPort, local func() netip.AddrPort) bool {
	return remote.Port() >= firstEphemeral && remote.Addr().IsLoopback() && local() == remote
}
