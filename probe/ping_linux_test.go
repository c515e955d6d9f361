package probe

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// compilePing compiles a spec, or skips where ICMP is not permitted.
func compilePing(t testing.TB, s Ping, env Env) *pingProber {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("raw sockets need root")
	}
	p, err := s.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*pingProber)
}

// pingTargets are n addresses of this machine.
func pingTargets(n int) []muster.Target {
	ts := make([]muster.Target, n)
	for i := range ts {
		a := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
		ts[i] = muster.Target{Index: i, ID: a.String(), Host: a.String(), Addr: a}
	}
	return ts
}

func named(hosts ...string) []muster.Target {
	ts := make([]muster.Target, len(hosts))
	for i, h := range hosts {
		a, _ := netip.ParseAddr(h)
		ts[i] = muster.Target{Index: i, ID: h, Host: h, Addr: a}
	}
	return ts
}

// pingAll drives the targets over one loop, and returns the results by target.
func pingAll(ctx context.Context, t testing.TB, p *pingProber, ts []muster.Target, window int) []muster.Result {
	t.Helper()
	f := &feed{targets: ts, window: window}
	p.ProbeBatch(ctx, f)
	rs := make([]muster.Result, len(ts))
	for _, r := range f.results {
		rs[r.Index] = r
	}
	for i := range ts {
		if f.byIndex[i] != 1 {
			t.Fatalf("target %d reported %d times", i, f.byIndex[i])
		}
	}
	if f.peak > window {
		t.Errorf("%d in flight, window %d", f.peak, window)
	}
	return rs
}

func TestPingReaches(t *testing.T) {
	t.Parallel()
	p := compilePing(t, Ping{}, Env{})
	for i, r := range pingAll(t.Context(), t, p, pingTargets(5000), 1000) {
		ttl, _ := r.Field("ttl")
		rtt := r.Timings.FirstByte
		if r.Outcome != muster.OK || r.Status != "echo reply" || ttl != 64.0 || rtt <= 0 || rtt > time.Minute || r.Timings.Total != rtt || !r.Sent || !r.Address.IsValid() {
			t.Fatalf("target %d: %+v", i, r)
		}
	}
	for _, r := range pingAll(t.Context(), t, p, named("::1", "localhost", "127.0.0.1"), 10) {
		if r.Outcome != muster.OK {
			t.Errorf("%+v", r)
		}
	}
}

// Every target has its own socket in Probe, and the same result.
func TestPingAlone(t *testing.T) {
	t.Parallel()
	p := compilePing(t, Ping{Count: 3, Interval: muster.Duration(time.Millisecond)}, Env{})
	for _, target := range named("127.9.9.9", "::1") {
		r := p.Probe(t.Context(), target)
		sent, _ := r.Field("sent")
		received, _ := r.Field("received")
		loss, _ := r.Field("loss")
		if r.Outcome != muster.OK || sent != 3.0 || received != 3.0 || loss != 0.0 {
			t.Errorf("%s: %+v", target.Host, r)
		}
	}
}

func TestPingDenied(t *testing.T) {
	t.Parallel()
	deny, err := dial.ParsePolicy(nil, []string{"127.1.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	p := compilePing(t, Ping{}, Env{Dialer: &dial.Dialer{Policy: deny}})
	rs := pingAll(t.Context(), t, p, named("127.1.0.1", "169.254.169.254", "127.2.0.1"), 10)
	if rs[0].Outcome != muster.Denied || rs[1].Outcome != muster.Denied || rs[2].Outcome != muster.OK || rs[0].Sent {
		t.Errorf("%+v", rs)
	}
}

// narrow is ping over sockets that have room for a few replies only.
type narrow struct{ *pingProber }

func (n narrow) wire() packetWire { return narrowWire{n.pingProber.wire()} }

type narrowWire struct{ packetWire }

func (w narrowWire) open(family int) (int, error) {
	fd, err := w.packetWire.open(family)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	}
	return fd, err
}

// A reply that found no room in our own socket is asked for again: the target was not silent.
func TestPingOfASocketThatIsFull(t *testing.T) {
	t.Parallel()
	p := compilePing(t, Ping{Tries: 1, Wait: muster.Duration(20 * time.Millisecond)}, Env{})
	f := &feed{targets: pingTargets(64), window: 5}
	if err := probePackets(t.Context(), narrow{p}, &returnable{Feed: f}); err != nil {
		t.Fatal(err)
	}
	again := 0
	for _, r := range f.results {
		if r.Outcome != muster.OK {
			t.Errorf("%s: %s", r.Address, r.Detail)
		}
		if sent, _ := r.Field("sent"); sent != 1.0 {
			again++
		}
	}
	if again == 0 {
		t.Error("no reply found the socket full: the test shows nothing")
	}
}

// Nor is it a loss of the network's.
func TestPingCountsNoLossOfItsOwn(t *testing.T) {
	t.Parallel()
	p := compilePing(t, Ping{Count: 2, Wait: muster.Duration(20 * time.Millisecond), Interval: muster.Duration(time.Millisecond)}, Env{})
	f := &feed{targets: pingTargets(64), window: 4}
	if err := probePackets(t.Context(), narrow{p}, &returnable{Feed: f}); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.results {
		sent, _ := r.Field("sent")
		loss, _ := r.Field("loss")
		if r.Outcome != muster.OK || sent != 2.0 || loss != 0.0 {
			t.Errorf("%s: %s", r.AddressText(), fieldText(&r))
		}
	}
}

func TestFullPingSweep(t *testing.T) {
	if os.Getenv("MUSTER_FULL") == "" {
		t.Skip("set MUSTER_FULL=1, or say make test")
	}
	p := compilePing(t, Ping{}, Env{})
	for _, r := range pingAll(t.Context(), t, p, pingTargets(200_000), 20_000) {
		if r.Outcome != muster.OK {
			t.Fatalf("%+v", r)
		}
	}
}
