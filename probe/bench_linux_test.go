package probe

import (
	"bufio"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// cServer starts bench/server.c, which answers on every loopback address with 200-byte bodies.
func cServer(b *testing.B) uint16 {
	b.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.Skip("no C compiler")
	}
	bin := filepath.Join(b.TempDir(), "server")
	if out, err := exec.Command(cc, "-O2", "-o", bin, "../bench/server.c").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	l.Close()
	cmd := exec.Command(bin, "-p", strconv.Itoa(int(port)))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		waitFor(b, port)
	}
	return port
}

func waitFor(b *testing.B, port uint16) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if c, err := net.Dial("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()); err == nil {
			c.Close()
			return
		}
	}
	b.Fatal("the C server does not listen")
}

// loopback returns target i of a fleet in 127.0.0.0/8.
func loopback(i int, port uint16) muster.Target {
	a := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
	return muster.Target{Index: i, Host: a.String(), Addr: a, Port: port}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rangeFeed is a window over a computed fleet.
type rangeFeed struct {
	feed
	next, end int
	port      uint16
}

func (f *rangeFeed) Next() (t muster.Target, ok, more bool) {
	if f.next == f.end {
		return t, false, false
	}
	if f.open >= f.window {
		return t, false, true
	}
	f.next++
	f.open++
	return loopback(f.next, f.port), true, true
}

func benchmarkBatch(b *testing.B, window int) {
	port := cServer(b)
	dial.RaiseLimit()
	p := compile(b, HTTP{URL: "/status"}, Env{})
	bad := 0
	f := &rangeFeed{end: b.N, port: port}
	f.window = window
	f.onDone = func(r *muster.Result) {
		if r.Outcome != muster.OK || len(r.Body) != 200 {
			bad++
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	p.ProbeBatch(b.Context(), f)
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1000, "cpu-µs/op")
	if bad > 0 {
		b.Fatalf("%d of %d not ok", bad, b.N)
	}
}

func BenchmarkProbeBatch(b *testing.B) {
	for _, window := range []int{100, 500, 10000} {
		b.Run(strconv.Itoa(window), func(b *testing.B) { benchmarkBatch(b, window) })
	}
}

func BenchmarkProbe(b *testing.B) {
	port := cServer(b)
	p := compile(b, HTTP{URL: "/status"}, Env{})
	b.ReportAllocs()
	before := cpuTime()
	i := 0
	for b.Loop() {
		i++
		if r := p.Probe(b.Context(), loopback(i, port)); r.Outcome != muster.OK {
			b.Fatal(r.Outcome, r.Failure, r.Detail)
		}
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(i)/1000, "cpu-µs/op")
}

func BenchmarkProbeKeepAlive(b *testing.B) {
	port := cServer(b)
	p := compile(b, HTTP{URL: "/status"}, Env{ReuseHint: true})
	b.ReportAllocs()
	before := cpuTime()
	i := 0
	for b.Loop() {
		i++
		if r := p.Probe(b.Context(), loopback(1, port)); r.Outcome != muster.OK {
			b.Fatal(r.Outcome, r.Failure, r.Detail)
		}
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(i)/1000, "cpu-µs/op")
}
