package probe

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// abroadEnv says to a test that it runs in a namespace of its own, and as whom.
const abroadEnv = "MUSTER_TEST_ABROAD"

// again runs one test of this binary in another process, which need not be allowed to read the binary.
func again(t *testing.T, test, as string, prepare func(*exec.Cmd)) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^"+test+"$", "-test.v")
	cmd.ExtraFiles, cmd.Env, cmd.Dir = []*os.File{self}, append(os.Environ(), abroadEnv+"="+as), "/"
	prepare(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		if strings.Contains(string(out), "--- SKIP: "+test) {
			t.Skipf("%s", out)
		}
		t.Fatalf("as %s: %v\n%s", as, err, out)
	}
}

// TestPingAbroad pings through a network that loses, delays, doubles, forges and refuses, with a raw socket and
// without the right to one.
func TestPingAbroad(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	if os.Getenv(abroadEnv) == "" {
		t.Parallel()
		again(t, "TestPingAbroad", "root", func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		})
		return
	}
	w := newWorld(t)
	// A new address of IPv6 is not of use at once.
	if r := compileAny(t, Ping{Tries: 10}).Probe(t.Context(), named("fd00:1::ffff")[0]); r.Outcome != muster.OK {
		t.Fatalf("the way abroad: %s", endOf(&r))
	}
	t.Run("root", abroad)
	t.Run("Counted", abroadCounted)
	t.Run("TTLAndFragments", abroadOptions)
	t.Run("Cancel", func(t *testing.T) { abroadCancel(t, w) })
	t.Run("Stall", abroadStall)
	t.Run("fping", abroadOracle)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0o644); err != nil {
		t.Fatal(err)
	}
	again(t, "TestPingUnprivileged", "nobody", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.broken) > 0 {
		t.Errorf("broken requests: %v", w.broken)
	}
}

// TestPingUnprivileged runs inside of TestPingAbroad.
func TestPingUnprivileged(t *testing.T) {
	if os.Getenv(abroadEnv) != "nobody" {
		t.Skip("runs inside of TestPingAbroad")
	}
	w := &icmpWire{p: &pingProber{env: Env{}.withDefaults(true)}}
	fd, err := w.open(4)
	if err != nil || w.raw4 {
		t.Fatalf("raw=%v, %v", w.raw4, err)
	}
	w.p.env.Dialer.Close(fd)
	abroad(t)
}

// fate is how a ping ends.
type fate struct {
	host   string
	ends   string // "ok", or failure and reason
	fields string // some of them
}

var fates = []fate{
	{"10.1.0.1", "ok", "ttl=57 sent=1"},
	{"10.2.0.1", "no_reply no reply", ""},
	{"10.3.0.1", "ok", "sent=3"},
	{"10.4.0.1", "ok", "sent=1"},
	{"10.5.0.1", "no_reply no reply", ""},
	{"10.5.0.2", "ok", "sent=1"},
	{"10.6.0.1", "no_reply no reply", ""},
	{"10.7.0.1", "unreachable ttl exceeded", ""},
	{"10.8.0.0", "unreachable network unreachable", ""},
	{"10.8.0.1", "unreachable host unreachable", ""},
	{"10.8.0.2", "unreachable protocol unreachable", ""},
	{"10.8.0.3", "unreachable port unreachable", ""},
	{"10.8.0.5", "unreachable source route failed", ""},
	{"10.8.0.13", "unreachable administratively prohibited", ""},
	{"10.9.0.1", "no_reply no reply", ""},
	{"10.10.0.1", "ok", "sent=2"},
	{"10.11.0.1", "no_reply no reply", ""},
	{"10.250.0.1", "unreachable no route to host", ""},
	{"10.251.0.1", "unreachable not permitted", ""},
	{"10.252.0.1", "unreachable no route to host", ""},
	{"192.0.2.1", "unreachable network unreachable", ""},
	{"127.0.0.1", "ok", "sent=1"},
	{"fd00:1::1", "ok", "ttl=57 sent=1"},
	{"fd00:2::1", "no_reply no reply", ""},
	{"fd00:5::2", "ok", "sent=1"},
	{"fd00:6::1", "no_reply no reply", ""},
	{"fd00:7::1", "unreachable ttl exceeded", ""},
	{"fd00:8::0", "unreachable no route to host", ""},
	{"fd00:8::1", "unreachable administratively prohibited", ""},
	{"fd00:8::4", "unreachable port unreachable", ""},
	{"fd00:a::1", "ok", "sent=2"},
	{"2001:db8::1", "unreachable network unreachable", ""},
	{"::1", "ok", "sent=1"},
}

func endOf(r *muster.Result) string {
	if r.Outcome == muster.Failed {
		return r.Failure.String() + " " + r.Reason
	}
	return r.Outcome.String()
}

func fieldText(r *muster.Result) string {
	var s strings.Builder
	for _, f := range r.Fields {
		fmt.Fprintf(&s, "%s=%v ", f.Name, f.Value)
	}
	return s.String()
}

// abroad pings everybody at once.
func abroad(t *testing.T) {
	p := compileAny(t, Ping{Tries: 3, Wait: muster.Duration(300 * time.Millisecond)})
	var hosts []string
	for _, f := range fates {
		hosts = append(hosts, f.host)
	}
	for i, r := range pingAll(t.Context(), t, p, named(hosts...), len(hosts)) {
		f := fates[i]
		got := fieldText(&r)
		for want := range strings.FieldsSeq(f.fields) {
			if !strings.Contains(got, want+" ") {
				t.Errorf("%s: fields %s, want %s", f.host, got, want)
			}
		}
		if endOf(&r) != f.ends {
			t.Errorf("%s: %s (%s), want %s", f.host, endOf(&r), r.Detail, f.ends)
		}
		if f.host == "10.10.0.1" && r.Timings.FirstByte < worldDelay {
			t.Errorf("a late reply to the first request took %v", r.Timings.FirstByte)
		}
	}
}

var counted = []fate{
	{"10.1.0.9", "ok sent=4 received=4 loss=0", ""},
	{"10.2.0.9", "no_reply no reply sent=4 received=0 loss=100 min=<nil>", ""},
	{"10.13.0.9", "ok sent=4 received=2 loss=50", ""},
	{"10.15.0.9", "ok sent=4 received=4 loss=0", ""},
	{"10.8.0.1", "unreachable host unreachable sent=4 received=0", ""},
	{"10.14.0.1", "unreachable no route to host sent=4 received=0", ""}, // the route goes away after the first
}

func abroadCounted(t *testing.T) {
	p := compileAny(t, Ping{Count: 4, Interval: muster.Duration(50 * time.Millisecond), Wait: muster.Duration(300 * time.Millisecond)})
	var hosts []string
	for _, f := range counted {
		hosts = append(hosts, f.host)
	}
	for i, r := range pingAll(t.Context(), t, p, named(hosts...), len(hosts)) {
		if got := endOf(&r) + " " + fieldText(&r); !strings.HasPrefix(got, counted[i].ends) {
			t.Errorf("%s: %s, want %s", counted[i].host, got, counted[i].ends)
		}
	}
}

func compileAny(t *testing.T, s Ping) *pingProber {
	t.Helper()
	p, err := s.Prober(Env{})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*pingProber)
}

func abroadOptions(t *testing.T) {
	p := compileAny(t, Ping{Tries: 1, TTL: 7, DontFragment: true})
	for _, r := range pingAll(t.Context(), t, p, named("10.12.0.1", "fd00:c::1"), 2) {
		if r.Outcome != muster.OK {
			t.Errorf("ttl 7: %s", endOf(&r))
		}
	}
	p = compileAny(t, Ping{Tries: 1, Size: 3000, DontFragment: true})
	for _, r := range pingAll(t.Context(), t, p, named("10.1.0.1", "fd00:1::1"), 2) {
		if got := endOf(&r); got != "unreachable fragmentation needed" {
			t.Errorf("too large: %s", got)
		}
	}
	p = compileAny(t, Ping{Size: maxPingSize})
	for _, r := range pingAll(t.Context(), t, p, named("127.0.0.1", "::1"), 2) {
		if r.Outcome != muster.OK {
			t.Errorf("largest: %s %s", endOf(&r), r.Detail)
		}
	}
}

// abroadCancel waits for ever, until it is told to stop.
func abroadCancel(t *testing.T, w *world) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	w.mu.Lock()
	w.onQuery = func() {
		if n++; n == 300 {
			cancel()
		}
	}
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.onQuery = nil; w.mu.Unlock() }()
	hosts := make([]string, 500)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("10.2.%d.%d", 1+i/250, i%250)
	}
	p, err := Ping{Wait: muster.Duration(time.Hour)}.Prober(Env{Timeout: 10 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{targets: named(hosts...), window: 400}
	p.(*pingProber).ProbeBatch(ctx, f)
	for _, r := range f.results {
		if r.Outcome != muster.Canceled || !r.Sent && r.Timings.Total > time.Minute {
			t.Fatalf("%+v", r)
		}
	}
	if len(f.results) != f.peak || f.open != 0 {
		t.Errorf("%d results, %d started, %d open", len(f.results), f.peak, f.open)
	}
}

// abroadStall holds the loop up for longer than a reply may take, while one arrives: that is no silence.
func abroadStall(t *testing.T) {
	p := compileAny(t, Ping{Tries: 1, Wait: muster.Duration(worldStall / 2)})
	var ends []string
	p.ProbeBatch(t.Context(), &feed{targets: named("10.1.0.1", "10.16.0.1"), window: 2, onDone: func(r *muster.Result) {
		ends = append(ends, r.Address.Addr().String()+" "+endOf(r))
		<-time.After(worldStall)
	}})
	if !slices.Equal(ends, []string{"10.1.0.1 ok", "10.16.0.1 ok"}) {
		t.Errorf("%q", ends)
	}
}

// abroadOracle asks fping which of the hosts are alive.
func abroadOracle(t *testing.T) {
	fping, err := exec.LookPath("fping")
	if err != nil {
		t.Skip("fping is not installed")
	}
	hosts := []string{"10.1.0.1", "10.1.3.3", "10.2.0.1", "10.3.0.1", "10.4.0.1", "10.7.0.1", "10.8.0.1", "10.10.0.1", "127.0.0.1"}
	out, _ := exec.Command(fping, append([]string{"-a", "-r2", "-t300", "-B1.5", "-i1"}, hosts...)...).Output() // 1 says that some are not
	want := strings.Fields(string(out))
	p := compileAny(t, Ping{Tries: 3, Wait: muster.Duration(300 * time.Millisecond)})
	var got []string
	for i, r := range pingAll(t.Context(), t, p, named(hosts...), len(hosts)) {
		if r.Outcome == muster.OK {
			got = append(got, hosts[i])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, slices.Compact(want)) {
		t.Errorf("alive: %v; fping says %v", got, want)
	}
}
