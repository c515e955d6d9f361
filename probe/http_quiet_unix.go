//go:build unix

package probe

import (
	"net"
	"syscall"
)

// quiet reports whether an idle connection has neither ended nor received anything: what comes unasked is
// the peer's goodbye.
func quiet(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		alive = err == syscall.EAGAIN
	})
	return err == nil && alive
}
