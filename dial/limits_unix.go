//go:build unix

package dial

import (
	"fmt"
	"math"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// RaiseLimit raises the process's soft limit of open files to the hard one, and returns the limit
// in force. A main calls it once at start; child processes inherit the raised limit.
func RaiseLimit() (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if r.Cur < r.Max {
		raised := unix.Rlimit{Cur: r.Max, Max: r.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
			return clampInt(r.Cur), fmt.Errorf("raise the limit of open files from %d to %d: %w", r.Cur, r.Max, err)
		}
	}
	return descriptorLimit(), nil
}

// fallbackLimit is POSIX's traditional number of descriptors.
const fallbackLimit = 1024

// descriptorLimit returns the soft limit of open files.
func descriptorLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return fallbackLimit
	}
	return clampInt(r.Cur)
}

func clampInt(n uint64) int { return int(min(n, math.MaxInt32)) }

// openDescriptors counts the descriptors that are open now.
func openDescriptors() int {
	dir := "/dev/fd"
	if runtime.GOOS == "linux" {
		dir = "/proc/self/fd"
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 3
	}
	return len(entries) - 1 // the open directory itself
}
