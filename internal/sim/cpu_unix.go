//go:build unix

package sim

import (
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the processor time of the process, user and system.
func processCPU() time.Duration {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
