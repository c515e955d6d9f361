package probe

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// await waits for the command's exit and leaves it to be reaped: until then its number is its own.
func (c *child) await() {
	for unix.Waitid(unix.P_PID, c.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// signal sends s to the process group.
func (c *child) signal(s syscall.Signal) { syscall.Kill(-c.cmd.Process.Pid, s) }

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return s.String()
}
