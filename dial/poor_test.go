//go:build linux

package dial_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/dial"
)

// TestDescriptorsRunOut plays a process whose budget promises more than the system gives.
func TestDescriptorsRunOut(t *testing.T) {
	t.Parallel()
	line, err := play(t, "poor").ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "adapted" {
		t.Errorf("the process says %q, %v", line, err)
	}
}

func poor() {
	if err := runPoor(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("adapted")
}

func runPoor() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ap := netip.MustParseAddrPort(l.Addr().String())
	d := &dial.Dialer{Budget: &dial.Budget{Limit: 1000}}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := d.Dial(ctx, ap) // the runtime's poller needs its own descriptors first
	if err != nil {
		return err
	}
	c.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 40, Max: 40}); err != nil {
		return err
	}
	fds, err := openAll(d, ap)
	if err != nil {
		return err
	}
	if n, why := d.Headroom(0); n != len(fds) || why != dial.ReasonDescriptors || d.Shortage().Descriptors == 0 {
		return fmt.Errorf("headroom %d by %s with %d open", n, why, len(fds))
	}
	return dialAfterClose(ctx, d, ap, fds)
}

// openAll opens sockets until the system gives no more.
func openAll(d *dial.Dialer, ap netip.AddrPort) (fds []int, err error) {
	for {
		fd, _, err := d.Open(ap)
		if err == nil {
			fds = append(fds, fd)
			continue
		}
		e, _ := errors.AsType[*dial.Error](err)
		if e.Reason != dial.ReasonDescriptors || !e.Transient || len(fds) < 10 {
			return nil, fmt.Errorf("%d open: %w", len(fds), err)
		}
		return fds, nil
	}
}

// dialAfterClose shows that Dial waits for a descriptor instead of failing.
func dialAfterClose(ctx context.Context, d *dial.Dialer, ap netip.AddrPort, fds []int) error {
	result := make(chan error)
	go func() {
		c, err := d.Dial(ctx, ap)
		if err == nil {
			err = c.Close()
		}
		result <- err
	}()
	select {
	case err := <-result:
		return fmt.Errorf("dial did not wait: %w", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, fd := range fds {
		d.Close(fd)
	}
	return <-result
}

// TestOpen follows a socket of an event loop from connect to close, and to a closed port.
func TestOpen(t *testing.T) {
	t.Parallel()
	l, up := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	gone, down := listen(t, "tcp", "127.0.0.1:0")
	gone.Close()
	b := &dial.Budget{Limit: 2}
	d := dial.Dialer{Budget: b}
	if !d.Batch() {
		t.Fatal("no event loops on Linux")
	}
	for ap, refused := range map[netip.AddrPort]bool{up: false, down: true} {
		fd, connected, err := d.Open(ap)
		for pending := !connected; err == nil && pending; {
			if _, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 5000); perr != nil && perr != unix.EINTR {
				t.Fatal(perr)
			}
			pending, err = d.Connected(fd, ap)
		}
		e, _ := errors.AsType[*dial.Error](err)
		if refused != (e != nil && e.Reason == "connection refused") {
			t.Errorf("connect to %v = %v", ap, err)
		}
		if fd >= 0 {
			if err := d.Close(fd); err != nil {
				t.Error(err)
			}
		}
	}
	if b.InUse() != 0 {
		t.Errorf("%d descriptors are still counted", b.InUse())
	}
	if _, _, err := d.Open(netip.MustParseAddrPort("169.254.169.254:80")); err == nil {
		t.Error("Open bypasses the policy")
	}
}
