package probe

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/sim"
)

func startFleet(t testing.TB, mix string) uint16 {
	t.Helper()
	m, err := sim.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&sim.Fleet{Seed: 7, Mix: m}).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr().Port()
}

func fleetTargets(n int, port uint16) []muster.Target {
	ts := make([]muster.Target, n)
	for i := range ts {
		a := netip.AddrFrom4([4]byte{127, 3, byte(i >> 8), byte(i)})
		ts[i] = muster.Target{Index: i, Host: a.String(), Addr: a, Port: port}
	}
	return ts
}

// probeAll drives the targets over goroutines.
func probeAll(ctx context.Context, p *httpProber, ts []muster.Target) []muster.Result {
	rs := make([]muster.Result, len(ts))
	var wg sync.WaitGroup
	limit := make(chan bool, 100)
	for i, t := range ts {
		limit <- true
		wg.Go(func() {
			rs[i] = p.Probe(ctx, t)
			<-limit
		})
	}
	wg.Wait()
	return rs
}

// batchAll drives the targets over event loops, which share them.
func batchAll(t testing.TB, p *httpProber, ts []muster.Target, window int) []muster.Result {
	t.Helper()
	rs := make([]muster.Result, len(ts))
	var wg sync.WaitGroup
	half := len(ts) / 2
	for _, part := range [][]muster.Target{ts[:half], ts[half:]} {
		f := &feed{targets: part, window: window}
		wg.Go(func() {
			p.ProbeBatch(t.Context(), f)
			for _, r := range f.results {
				if f.byIndex[r.Index] != 1 {
					t.Errorf("target %d reported %d times", r.Index, f.byIndex[r.Index])
				}
				rs[r.Index] = r
			}
			if f.peak > window {
				t.Errorf("%d in flight, window %d", f.peak, window)
			}
		})
	}
	wg.Wait()
	return rs
}

const everyFault = "ok*20,slow:20ms*4,status:404,status:503,status:429,reset,reset:accept,reset:body,hang,hang:accept,hang-body,drip:50ms," +
	"garbage,oversized:2M,endless,endless:chunked,endless:head,close-early,close-before,close-before:accept,conflict,conflict:chunked,chunked,redirect,once"

// TestPathsAgree holds the three paths against each other over a fleet with every fault.
func TestPathsAgree(t *testing.T) {
	t.Parallel()
	ts := fleetTargets(400, startFleet(t, everyFault))
	env := Env{Timeout: 3 * time.Second}
	// The limit is small so that floods reach it in time on a busy machine too.
	p := compile(t, HTTP{URL: "/x", BodyLimit: 32 << 10}, env)
	want := probeAll(t.Context(), p, ts)
	got := batchAll(t, p, ts, 100)
	std := probeAll(t.Context(), compile(t, HTTP{URL: "/x", BodyLimit: 32 << 10, HTTP2: HTTP2Auto}, env), ts)
	seen := map[string]int{}
	for i, w := range want {
		g, s := got[i], std[i]
		seen[w.Outcome.String()+" "+w.Failure.String()]++
		if g.Outcome != w.Outcome || g.Failure != w.Failure || g.Code != w.Code || g.Status != w.Status || len(g.Body) != len(w.Body) {
			t.Errorf("%s: loop %v %v %d (%s), goroutine %v %v %d (%s)", ts[i].Host, g.Outcome, g.Failure, g.Code, g.Detail, w.Outcome, w.Failure, w.Code, w.Detail)
		}
		if g.Failure != muster.FailReset && g.Reason != w.Reason || g.Transient != w.Transient || g.Pushback != w.Pushback || g.Address != w.Address {
			t.Errorf("%s: loop %+v\ngoroutine %+v", ts[i].Host, g, w)
		}
		if s.Outcome != w.Outcome || s.Failure != w.Failure || s.Code != w.Code {
			t.Errorf("%s: std %v %v %d (%s), goroutine %v %v %d (%s)", ts[i].Host, s.Outcome, s.Failure, s.Code, s.Detail, w.Outcome, w.Failure, w.Code, w.Detail)
		}
		if g.Timings.Total <= 0 || g.Timings.Total > 6*time.Second {
			t.Errorf("%s: took %v", ts[i].Host, g.Timings.Total)
		}
	}
	if len(seen) < 6 {
		t.Errorf("the fleet shows too few outcomes: %v", seen)
	}
}

func TestBatchCancel(t *testing.T) {
	t.Parallel()
	dial.RaiseLimit()
	const n = 3000
	ts := fleetTargets(n, startFleet(t, "hang"))
	p := compile(t, HTTP{}, Env{Timeout: time.Minute, ConnectTimeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	var canceled time.Time
	f := &feed{targets: ts}
	started := f.wakeAfterLast(func() {
		canceled = time.Now()
		cancel()
	})
	p.ProbeBatch(ctx, started)
	if took := time.Since(canceled); took > time.Second {
		t.Errorf("cancel took %v", took)
	}
	if len(f.results) != n {
		t.Fatalf("%d of %d reported", len(f.results), n)
	}
	for _, r := range f.results {
		if r.Outcome != muster.Canceled {
			t.Fatalf("%v %v: %s", r.Outcome, r.Failure, r.Detail)
		}
	}
	started.wake() // a late wake must hit nothing
}

// lastFeed calls f once the loop first sleeps after the last target was taken.
type lastFeed struct {
	*feed
	f func()
}

func (f *feed) wakeAfterLast(do func()) *lastFeed { return &lastFeed{f, do} }

func (f *lastFeed) Next() (muster.Target, bool, bool) {
	t, ok, _ := f.feed.Next()
	return t, ok, true
}

func (f *lastFeed) Flush() {
	if len(f.targets) == 0 && f.f != nil {
		f.f()
		f.f = nil
	}
}

// TestBatchWake feeds a sleeping loop from another goroutine.
func TestBatchWake(t *testing.T) {
	t.Parallel()
	port := startFleet(t, "ok")
	p := compile(t, HTTP{}, Env{})
	f := newSlowFeed()
	ended := make(chan bool)
	go func() {
		p.ProbeBatch(t.Context(), f)
		close(ended)
	}()
	for i, target := range fleetTargets(50, port) {
		f.offer(&target)
		if r := <-f.done; r.Outcome != muster.OK {
			t.Fatalf("target %d: %v %s", i, r.Outcome, r.Detail)
		}
	}
	f.offer(nil)
	<-ended
}

type slowFeed struct {
	mu   sync.Mutex
	next *muster.Target
	over bool
	wake func()
	done chan muster.Result
}

func newSlowFeed() *slowFeed { return &slowFeed{done: make(chan muster.Result, 1)} }

func (f *slowFeed) offer(t *muster.Target) {
	f.mu.Lock()
	f.next, f.over = t, t == nil
	wake := f.wake
	f.mu.Unlock()
	if wake != nil {
		wake()
	}
}

func (f *slowFeed) Next() (t muster.Target, ok, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		return t, false, !f.over
	}
	t, f.next = *f.next, nil
	return t, true, true
}

func (f *slowFeed) Done(_ muster.Target, r muster.Result) { f.done <- r }
func (f *slowFeed) Flush()                                {}
func (f *slowFeed) Notify(wake func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake = wake
}

// TestBatchParks holds back targets while descriptors run short, instead of failing them.
func TestBatchParks(t *testing.T) {
	t.Parallel()
	ts := fleetTargets(300, startFleet(t, "slow:1ms"))
	p := compile(t, HTTP{}, Env{Dialer: &dial.Dialer{Budget: &dial.Budget{Limit: 7}}})
	for i, r := range batchAll(t, p, ts, 50) {
		if r.Outcome != muster.OK {
			t.Fatalf("target %d: %v %v %s", i, r.Outcome, r.Failure, r.Detail)
		}
	}
}

// TestBatchIsFair lets one peer send without end: the others must not notice.
func TestBatchIsFair(t *testing.T) {
	t.Parallel()
	flood := fleetTargets(1, startFleet(t, "endless"))
	quick := fleetTargets(200, startFleet(t, "ok"))
	flood[0].Index = len(quick)
	p := compile(t, HTTP{BodyLimit: maxBodyLimit}, Env{DiscardBody: true, Timeout: 2 * time.Second})
	f := &feed{targets: append(flood, quick...), window: 20}
	p.ProbeBatch(t.Context(), f)
	for i, r := range f.results {
		if last := i == len(f.results)-1; last != (r.Index == len(quick)) || !last && r.Outcome != muster.OK {
			t.Fatalf("result %d is of target %d: %v %v %s", i, r.Index, r.Outcome, r.Failure, r.Detail)
		}
	}
}

// TestBatchLooksUpAgain takes a target by name through the loop, whose cached address may be gone by then.
func TestBatchLooksUpAgain(t *testing.T) {
	t.Parallel()
	p := compile(t, HTTP{}, Env{Dialer: &dial.Dialer{Family: 4}})
	named := muster.Target{Host: "localhost", Port: startFleet(t, "ok")}
	f := &feed{targets: []muster.Target{named, named, named}}
	p.ProbeBatch(t.Context(), f)
	for _, r := range f.results {
		if r.Outcome != muster.OK {
			t.Errorf("%v %v %s", r.Outcome, r.Failure, r.Detail)
		}
	}
	if len(f.results) != 3 || !p.Batchable(named) {
		t.Errorf("%d results, batchable %v", len(f.results), p.Batchable(named))
	}
}

func TestBatchable(t *testing.T) {
	t.Parallel()
	lit := muster.Target{Host: "127.0.0.1", Addr: netip.MustParseAddr("127.0.0.1")}
	secure := lit
	secure.Scheme = "https"
	for _, c := range []struct {
		name   string
		spec   HTTP
		env    Env
		target muster.Target
		want   bool
	}{
		{"literal", HTTP{}, Env{}, lit, true},
		{"path template", HTTP{URL: "/{{.host}}"}, Env{}, lit, true},
		{"https target", HTTP{}, Env{}, secure, false},
		{"https by default", HTTP{Scheme: "https"}, Env{}, lit, false},
		{"https url", HTTP{URL: "https://127.0.0.1/"}, Env{}, lit, false},
		{"http url", HTTP{URL: "http://127.0.0.1/"}, Env{}, secure, true},
		{"url template", HTTP{URL: "http://{{.host}}/"}, Env{}, lit, false},
		{"name not looked up", HTTP{}, Env{}, muster.Target{Host: "a.invalid"}, false},
		{"reuse", HTTP{}, Env{ReuseHint: true}, lit, true},
		{"reuse, name not looked up", HTTP{}, Env{ReuseHint: true}, muster.Target{Host: "a.invalid"}, true},
		{"reuse, name not ASCII", HTTP{}, Env{ReuseHint: true}, muster.Target{Host: "ä.invalid"}, false},
		{"reuse, https", HTTP{}, Env{ReuseHint: true}, secure, false},
		{"redirects", HTTP{Follow: 1}, Env{}, lit, false},
		{"proxy", HTTP{Proxy: "http://127.0.0.1:1"}, Env{}, lit, false},
		{"http/2", HTTP{HTTP2: HTTP2Auto}, Env{}, lit, false},
	} {
		if got := compile(t, c.spec, c.env).Batchable(c.target); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestLargeRequest sends more than a socket takes at once.
func TestLargeRequest(t *testing.T) {
	t.Parallel()
	body := make([]byte, 3<<20)
	for i := range body {
		body[i] = 'a' + byte(i%26)
	}
	target := fleetTargets(1, startFleet(t, "ok"))[0]
	for _, way := range paths() {
		spec := HTTP{URL: "/echo", Body: `{{.host}}` + string(body), BodyLimit: 8 << 20}
		way.adapt(&spec)
		r := way.probe(t.Context(), compile(t, spec, Env{}), target)
		if r.Outcome != muster.OK || len(r.Body) < 1000 {
			t.Errorf("%s: %v %v %d bytes: %s", way.name, r.Outcome, r.Failure, len(r.Body), r.Detail)
		}
	}
}
