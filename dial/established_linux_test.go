package dial_test

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// epollOf waits for the first event of a socket of Open and returns it.
func epollOf(t *testing.T, fd int) uint32 {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP, Fd: int32(fd)}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		t.Fatal(err)
	}
	evs := make([]unix.EpollEvent, 1)
	for {
		n, err := unix.EpollWait(ep, evs, 5000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			t.Fatalf("%d events, %v", n, err)
		}
		return evs[0].Events
	}
}

// TestEventsTellHowAConnectEnded is what Established relies on: only a connected socket is writable and neither in
// error nor hung up.
func TestEventsTellHowAConnectEnded(t *testing.T) {
	t.Parallel()
	const all = unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP
	var d dial.Dialer
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, up := listen(t, "tcp", address)
		defer l.Close()
		gone, down := listen(t, "tcp", address)
		gone.Close()
		for range 20 {
			fd, _, err := d.Open(up)
			if err != nil {
				t.Fatal(err)
			}
			if events := epollOf(t, fd); events&all != unix.EPOLLOUT {
				t.Errorf("events %#x of a connected socket", events)
			}
			if err := d.Established(fd, up); err != nil {
				t.Error(err)
			}
			d.Close(fd)
			if fd, _, err = d.Open(down); err == nil { // the kernel may refuse at once
				if events := epollOf(t, fd); events&all == unix.EPOLLOUT {
					t.Errorf("events %#x of a refused socket", events)
				}
				_, err = d.Connected(fd, down)
				d.Close(fd)
			}
			wantFailure(t, err, muster.FailRefused, "connection refused")
		}
	}
}

// TestUnreachableAtOnce opens sockets to addresses for which the kernel has no way.
func TestUnreachableAtOnce(t *testing.T) {
	t.Parallel()
	d := dial.Dialer{Source: netip.MustParseAddr("127.0.0.1")}
	ap := netip.MustParseAddrPort("192.0.2.1:9") // never routed from a loopback source
	fd, _, err := d.Open(ap)
	if err == nil {
		if events := epollOf(t, fd); events&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			t.Errorf("events %#x", events)
		}
		_, err = d.Connected(fd, ap)
		d.Close(fd)
	}
	if err == nil {
		t.Error("connected from a loopback address to another network")
	}
}
