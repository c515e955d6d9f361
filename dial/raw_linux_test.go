package dial_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRaw is the floor: a blocking connect without any runtime.
func BenchmarkRaw(b *testing.B) {
	ap := drainAny(b)
	i, before := 0, cpu()
	for b.Loop() {
		i++
		a := spread(ap, i)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
	}
	reportCPU(b, before)
}
