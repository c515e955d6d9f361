package probe

import (
	"syscall"
	"unsafe"
)

// These are the non-blocking calls of the event loop without the notice that package syscall gives
// to the scheduler for calls that may block: an exchange makes half a dozen of them.

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, no := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if no == syscall.EINTR {
		no = syscall.EAGAIN
	}
	return int(n), no
}

// rawSend returns 0 bytes with an error.
func rawSend(fd int, b []byte) (int, syscall.Errno) {
	n, _, no := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
	if no != 0 {
		if no == syscall.EINTR {
			no = syscall.EAGAIN
		}
		return 0, no
	}
	return int(n), 0
}

// quietSocket reports whether an idle connection has neither ended nor received anything.
func quietSocket(fd int) bool {
	var b [1]byte
	_, _, no := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1, syscall.MSG_PEEK, 0, 0)
	return no == syscall.EAGAIN
}

func rawEpollCtl(ep, op, fd int, ev *syscall.EpollEvent) syscall.Errno {
	_, _, no := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return no
}

func rawEpollPoll(ep int, events []syscall.EpollEvent) (n, _ uintptr, no syscall.Errno) {
	return syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
}
