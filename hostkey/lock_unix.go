//go:build linux || darwin

package hostkey

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock waits for the file's exclusive advisory lock.
func lock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

func unlock(f *os.File) { unix.Flock(int(f.Fd()), unix.LOCK_UN) }
