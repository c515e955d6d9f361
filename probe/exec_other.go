//go:build !linux

package probe

import "syscall"

// await waits for the command's exit and reaps it.
func (c *child) await() { c.cmd.Wait() }

// signal sends s to the process group.
func (c *child) signal(s syscall.Signal) { syscall.Kill(-c.cmd.Process.Pid, s) }

func signalName(s syscall.Signal) string { return s.String() }
