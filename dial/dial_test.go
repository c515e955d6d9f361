//go:build linux

package dial_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func listen(t testing.TB, network, addr string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String())
}

func TestDialTalks(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, ap := listen(t, "tcp", addr)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			c.Write([]byte("hello"))
			c.Read(make([]byte, 10))
		}()
		var d dial.Dialer
		c, err := d.Dial(t.Context(), ap)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "hello" {
			t.Errorf("Read = %q, %v", b[:n], err)
		}
		if got := c.RemoteAddr().String(); got != ap.String() {
			t.Errorf("RemoteAddr = %v, want %v", got, ap)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close = %v, want net.ErrClosed", err)
		}
	}
}

func TestDialRefused(t *testing.T) {
	t.Parallel()
	l, ap := listen(t, "tcp", "127.0.0.1:0")
	l.Close()
	var d dial.Dialer
	_, err := d.Dial(t.Context(), ap)
	e, ok := errors.AsType[*dial.Error](err)
	if !ok || e.Failure != muster.FailRefused || !e.Transient {
		t.Fatalf("Dial = %#v, want refused", err)
	}
}

// fullListener listens with a backlog that is full, so that further connects get no answer.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	ap := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	for range 4 { // more than fit into a backlog of 0
		c, err := net.DialTimeout("tcp", ap.String(), 50*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return ap
}

func wantFailure(t *testing.T, err error, f muster.Failure, reason string) {
	t.Helper()
	e, ok := errors.AsType[*dial.Error](err)
	if !ok || e.Outcome != muster.Failed || e.Failure != f || e.Reason != reason {
		t.Errorf("error %#v, want %v %q", err, f, reason)
	}
}

func TestDialConnectTimeout(t *testing.T) {
	t.Parallel()
	var d dial.Dialer
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	_, err := d.Dial(ctx, fullListener(t))
	wantFailure(t, err, muster.FailConnectTimeout, "connect timeout")
}

func TestDialCanceled(t *testing.T) {
	t.Parallel()
	b := &dial.Budget{}
	d := dial.Dialer{Budget: b}
	ap := fullListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	start := time.Now()
	_, err := d.Dial(ctx, ap)
	if e, ok := errors.AsType[*dial.Error](err); !ok || e.Outcome != muster.Canceled {
		t.Errorf("Dial = %#v, want canceled", err)
	}
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("the cancel took %v", took)
	}
	if n := b.InUse(); n != 0 {
		t.Errorf("%d descriptors are still counted", n)
	}
}

func TestDialRejects(t *testing.T) {
	t.Parallel()
	var d dial.Dialer
	for addr, want := range map[string]muster.Outcome{
		"169.254.169.254:80":             muster.Denied,
		"[::ffff:169.254.169.254]:80":    muster.Denied,
		"127.0.0.1:0":                    muster.Invalid,
		"[2001:db8::1%no-such-link0]:80": muster.Invalid,
	} {
		_, err := d.Dial(t.Context(), netip.MustParseAddrPort(addr))
		if e, ok := errors.AsType[*dial.Error](err); !ok || e.Outcome != want {
			t.Errorf("Dial(%s) = %#v, want %v", addr, err, want)
		}
	}
	if _, err := d.Dial(t.Context(), netip.AddrPort{}); err == nil {
		t.Error("Dial of the zero address succeeds")
	}
}

// TestExchangeErrors: what reads and writes return is classified as package net's errors are.
func TestExchangeErrors(t *testing.T) {
	t.Parallel()
	l, ap := listen(t, "tcp", "127.0.0.1:0")
	peers := make(chan *net.TCPConn)
	go func() {
		defer close(peers)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			peers <- c.(*net.TCPConn)
		}
	}()
	var d dial.Dialer
	c, err := d.Dial(t.Context(), ap)
	if err != nil {
		t.Fatal(err)
	}
	peer := <-peers
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	wantFailure(t, dial.Classify(err, dial.PhaseExchange), muster.FailTimeout, "timeout")
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		t.Errorf("Read = %v, want a net.Error that is a timeout", err)
	}
	c.SetReadDeadline(time.Time{})
	peer.SetLinger(0)
	peer.Close()
	_, err = c.Read(make([]byte, 1))
	wantFailure(t, dial.Classify(err, dial.PhaseExchange), muster.FailReset, "connection reset")
	c.Close()
	_, err = c.Read(make([]byte, 1))
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close = %v", err)
	}
}

func TestCloseWrite(t *testing.T) {
	t.Parallel()
	l, ap := listen(t, "tcp", "127.0.0.1:0")
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c) // until our side is closed
	}()
	var d dial.Dialer
	c, err := d.DialContext(t.Context(), "tcp", ap.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("echo"))
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); string(b) != "echo" || err != nil {
		t.Errorf("ReadAll = %q, %v", b, err)
	}
	if c.LocalAddr() == nil || c.LocalAddr().String() == c.RemoteAddr().String() {
		t.Errorf("LocalAddr = %v", c.LocalAddr())
	}
}

func TestSourceIsSeen(t *testing.T) {
	t.Parallel()
	l, ap := listen(t, "tcp", "127.0.0.1:0")
	d, err := dial.FromPlan(&muster.Plan{Source: "127.1.2.3", Family: 4, Deny: []string{"10.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Dial(t.Context(), ap)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fd, _, err := d.Open(ap)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(fd)
	for range 2 {
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if got := peer.RemoteAddr().(*net.TCPAddr).IP.String(); got != "127.1.2.3" {
			t.Errorf("the server sees %s", got)
		}
	}
	_, err = d.Dial(t.Context(), netip.MustParseAddrPort("[::1]:9"))
	wantFailure(t, err, muster.FailLocal, "source address")
	if e := d.Check(netip.MustParseAddr("10.1.1.1")); e == nil {
		t.Error("the plan's deny list is lost")
	}
}

func TestFromPlanRejects(t *testing.T) {
	t.Parallel()
	_, err := dial.FromPlan(&muster.Plan{Source: "192.0.2.77", Family: 5, Allow: []string{"x"}})
	if muster.KindOf(errors.Unwrap(err)) == "" && err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"192.0.2.77", "family 5", `allow "x"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if _, err := dial.FromPlan(&muster.Plan{Source: "host"}); err == nil {
		t.Error("a source that is a name is accepted")
	}
}

// TestNeverConnectsToItself makes the socket that the kernel may make out of a dial to a closed port
// of the ephemeral range: one whose both ends are the same.
func TestNeverConnectsToItself(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 9, 9, 9}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	var d dial.Dialer
	port := uint16(sa.(*unix.SockaddrInet4).Port)
	ap := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 9, 9}), port)
	_, err = d.Connected(fd, ap)
	wantFailure(t, err, muster.FailRefused, "connection refused")
	wantFailure(t, d.Established(fd, ap), muster.FailRefused, "connection refused")
	if err := d.Established(fd, netip.AddrPortFrom(ap.Addr().Next(), port)); err != nil {
		t.Errorf("a socket of another address: %v", err)
	}
}

func TestListenUDPIsShared(t *testing.T) {
	t.Parallel()
	d := dial.Dialer{Source: netip.MustParseAddr("127.0.0.9"), Budget: &dial.Budget{Limit: 1}}
	c, err := d.ListenUDP(4)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.LocalAddr().(*net.UDPAddr).IP.String(); got != "127.0.0.9" {
		t.Errorf("bound to %s", got)
	}
	if _, err := d.ListenUDP(4); dial.Classify(err, dial.PhaseConnect).Reason != dial.ReasonDescriptors {
		t.Errorf("beyond the budget: %v", err)
	}
	if _, err := d.ListenUDP(6); dial.Classify(err, dial.PhaseConnect).Reason != "source address" {
		t.Errorf("another family than the source's: %v", err)
	}
	c.Close()
	c.Close()
	if n := d.Budget.InUse(); n != 0 {
		t.Errorf("%d descriptors are taken", n)
	}
}
