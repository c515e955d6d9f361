package dial_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

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
