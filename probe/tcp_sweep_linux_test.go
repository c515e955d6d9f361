package probe

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/sim"
)

func sweepOf(t testing.TB, env Env) tcpSweep {
	t.Helper()
	p, err := TCP{}.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p.(tcpSweep)
}

func startLines(t testing.TB, mix string) uint16 {
	t.Helper()
	m, err := sim.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&sim.Fleet{Seed: 7, Mix: m, TCP: []string{":0"}}).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.ServiceAddr(sim.TCP).Port()
}

// mute listens with a backlog that is full, so that further connects get no answer.
func mute(t testing.TB) netip.AddrPort {
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
	to := sa.(*unix.SockaddrInet4)
	for range 4 { // more than fit into a backlog of 0
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := unix.Connect(c, to); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
}

// TestTCPSweep connects to targets of all kinds over one loop, and has it agree with goroutines.
func TestTCPSweep(t *testing.T) {
	t.Parallel()
	ts := fleetTargets(400, startLines(t, "ok*5,hang,reset:accept,slow:50ms"))
	silent := mute(t)
	for i := range ts {
		switch i % 10 {
		case 1:
			ts[i].Port = 1 // refused
		case 2:
			ts[i].Host, ts[i].Addr, ts[i].Port = silent.Addr().String(), silent.Addr(), silent.Port()
		case 3:
			ts[i].Host, ts[i].Addr = "169.254.169.254", netip.MustParseAddr("169.254.169.254") // denied
		case 4:
			ts[i].Port = 0
		case 5:
			ts[i].Host, ts[i].Addr = "localhost", netip.Addr{}
		}
	}
	p := sweepOf(t, Env{ConnectTimeout: 500 * time.Millisecond})
	want := make([]muster.Result, len(ts))
	var wg sync.WaitGroup
	for i := range ts {
		wg.Go(func() { want[i] = p.Probe(t.Context(), ts[i]) })
	}
	wg.Wait()
	f := &feed{targets: ts, window: 100}
	p.ProbeBatch(t.Context(), f)
	if len(f.results) != len(ts) || f.peak > 100 {
		t.Fatalf("%d of %d reported, at most %d under way", len(f.results), len(ts), f.peak)
	}
	seen := map[string]int{}
	for _, g := range f.results {
		w := want[g.Index]
		seen[g.Outcome.String()+" "+g.Failure.String()]++
		if g.Outcome != w.Outcome || g.Failure != w.Failure || g.Reason != w.Reason || g.Status != w.Status || g.Address != w.Address || g.Transient != w.Transient || g.Sent {
			t.Errorf("%v: loop %+v\ngoroutine %+v", ts[g.Index], g, w)
		}
		if g.Outcome == muster.OK && (g.Timings.Connect <= 0 || g.Timings.Total < g.Timings.Connect) || g.Timings.Total > 3*time.Second {
			t.Errorf("%v: timings %+v", ts[g.Index], g.Timings)
		}
	}
	for _, kind := range []string{"ok ", "failed refused", "failed connect_timeout", "denied ", "invalid "} {
		if seen[kind] == 0 {
			t.Errorf("no %s among %v", kind, seen)
		}
	}
}

// TestTCPSweepShort sweeps with fewer descriptors than the window: targets wait for them, and none fails.
func TestTCPSweepShort(t *testing.T) {
	t.Parallel()
	budget := &dial.Budget{Limit: 3}
	p := sweepOf(t, Env{Dialer: &dial.Dialer{Budget: budget}})
	f := &feed{targets: fleetTargets(200, startLines(t, "ok"))}
	p.ProbeBatch(t.Context(), f)
	for _, r := range f.results {
		if r.Outcome != muster.OK {
			t.Fatalf("%v %v %s", r.Outcome, r.Failure, r.Detail)
		}
	}
	if len(f.results) != 200 || budget.InUse() != 0 {
		t.Errorf("%d results, %d descriptors in use", len(f.results), budget.InUse())
	}
}

func TestTCPSweepCancel(t *testing.T) {
	t.Parallel()
	silent := mute(t)
	const n = 501
	ts := fleetTargets(n, silent.Port())
	for i := range ts {
		ts[i].Host, ts[i].Addr = silent.Addr().String(), silent.Addr()
	}
	budget := &dial.Budget{Limit: n - 1} // the last one waits for a descriptor
	p := sweepOf(t, Env{Timeout: time.Minute, ConnectTimeout: time.Minute, Dialer: &dial.Dialer{Budget: budget}})
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{targets: ts}
	var canceled time.Time
	last := f.wakeAfterLast(func() {
		canceled = time.Now()
		cancel()
	})
	p.ProbeBatch(ctx, last)
	if took := time.Since(canceled); took > time.Second {
		t.Errorf("cancel took %v", took)
	}
	if len(f.results) != n || budget.InUse() != 0 {
		t.Fatalf("%d of %d reported, %d descriptors in use", len(f.results), n, budget.InUse())
	}
	for _, r := range f.results {
		if r.Outcome != muster.Canceled {
			t.Fatalf("%v %v: %s", r.Outcome, r.Failure, r.Detail)
		}
	}
	last.wake() // a late wake must hit nothing
}

// TestTCPSweepIPv6 connects to an IPv6 address over a loop and over a goroutine.
func TestTCPSweepIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	target := targetAt(l.Addr())
	p := sweepOf(t, Env{})
	f := &feed{targets: []muster.Target{target}}
	p.ProbeBatch(t.Context(), f)
	for _, r := range append(f.results, p.Probe(t.Context(), target)) {
		if r.Outcome != muster.OK || r.Address.String() != l.Addr().String() {
			t.Errorf("%v %s at %v", r.Outcome, r.Detail, r.Address)
		}
	}
	if len(f.results) != 1 {
		t.Errorf("%d results", len(f.results))
	}
}
