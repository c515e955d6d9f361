package sim

import (
	"testing"

	"golang.org/x/sys/unix"
)

// An event that epoll reports late must not be taken for one of a later connection with the
// same descriptor, whatever structs the two have.
func TestGenerationsAreUnique(t *testing.T) {
	t.Parallel()
	s := &Server{}
	l, err := newLoop(s)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	seen := map[uint32]bool{0: true}
	take := func() *conn {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := l.take(fd, endpoint{})
		if seen[c.generation] {
			t.Errorf("generation %d is used twice", c.generation)
		}
		seen[c.generation] = true
		return c
	}
	for range 3 {
		a, b := take(), take()
		l.drop(b)
		c := take()
		l.drop(a)
		l.drop(c)
	}
}
