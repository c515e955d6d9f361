package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/internal/sim"
)

// remote is a fleet in a process of its own, which leaves this process's descriptors to the job.
type remote struct {
	port  uint16
	admin string
}

func startRemote(t testing.TB, f sim.Fleet) *remote {
	t.Helper()
	var r remote
	c := child{Role: "fleet", Fleet: f}
	if _, err := fmt.Fscan(c.start(t), &r.port, &r.admin); err != nil {
		t.Fatal(err)
	}
	return &r
}

// stats asks for the fleet's counters.
func (r *remote) stats(t testing.TB) (st sim.Stats) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.admin+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		t.Fatal(err)
	}
	return st
}

// until waits for the fleet's counters to be as they must become.
func (r *remote) until(t testing.TB, what string, ok func(sim.Stats) bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for st := r.stats(t); !ok(st); st = r.stats(t) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s did not come about: %+v", what, st)
		}
	}
}

// arrivals notes when each result came.
type arrivals struct{ at []time.Time }

func (a *arrivals) note(rs []muster.Result) []muster.Result {
	now := time.Now()
	for range rs {
		a.at = append(a.at, now)
	}
	return rs
}

// p99 is how long after begun 99 % of what came later than that had come.
func (a *arrivals) p99(begun time.Time) time.Duration {
	var after []time.Duration
	for _, at := range a.at {
		if d := at.Sub(begun); d > 0 {
			after = append(after, d)
		}
	}
	if len(after) == 0 {
		return 0
	}
	slices.Sort(after)
	return after[len(after)*99/100]
}

// TestCancelReachesAllInFlight stops 5,000 hanging exchanges and as many that have not begun.
func TestCancelReachesAllInFlight(t *testing.T) {
	t.Parallel()
	within := time.Second
	if raced {
		within = 4 * time.Second
	}
	cancelHanging(t, 5000, within)
}

// cancelHanging cancels n exchanges in flight; 99 % of the results must come within the given time.
func cancelHanging(t *testing.T, n int, within time.Duration) {
	t.Helper()
	r := startRemote(t, sim.Fleet{Rules: rules(t, "*=hang")})
	p := muster.Plan{Fanout: n, FanoutFixed: true, Timeout: 60000 * millisecond, ConnectTimeout: 60000 * millisecond}
	var got arrivals
	j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{}), crowd{n: 2 * n, port: r.port}, got.note)
	r.until(t, "a request of each in flight", func(s sim.Stats) bool { return s.Requests == uint64(n) })
	canceled := time.Now()
	j.cancel()
	rs := j.wait(t)
	took, p99 := time.Since(canceled), got.p99(canceled)
	t.Logf("all results %v after the cancel, 99%% after %v", took, p99)
	if p99 > within || took > 2*within {
		t.Errorf("all results came after %v, 99%% after %v; want %v", took, p99, within)
	}
	led := j.Status().Ledger
	if led.Count(muster.Canceled) != n || led.Count(muster.NotAttempted) != n {
		t.Errorf("ledger = %s", &led)
	}
	for i := range rs {
		if rs[i].Reason != "canceled" {
			t.Fatalf("target %d: %s (%s)", i, rs[i].Outcome, rs[i].Reason)
		}
	}
	if state, why := j.End(); state != muster.StateCanceled || why != "canceled" {
		t.Errorf("ended %s (%s)", state, why)
	}
	r.until(t, "the end of all connections", func(s sim.Stats) bool { return s.Open == 0 })
	if st := r.stats(t); st.Requests != uint64(n) || st.DistinctAddresses != n {
		t.Errorf("the fleet counted %d requests from %d addresses", st.Requests, st.DistinctAddresses)
	}
}

// TestDrainLetsTheRestEnd starts nothing more, and lets what is under way come to its own end.
func TestDrainLetsTheRestEnd(t *testing.T) {
	t.Parallel()
	const n = 300
	for _, reuse := range []bool{false, true} {
		s := fleet(t, sim.Fleet{Rules: rules(t, "*=slow:400ms")})
		p := muster.Plan{Fanout: n, FanoutFixed: true, Retries: 3}
		j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{FewHosts: reuse}), crowd{n: 4 * n, port: s.Addr().Port()}, nil)
		j.until(t, "a full window", func(st fanout.Status) bool { return st.InFlight == n && s.Stats().Requests >= n })
		j.Drain("first signal")
		j.Drain("second signal")
		j.wait(t)
		led := j.Status().Ledger
		if got := led.Count(muster.OK); got < n || uint64(got) != s.Stats().Requests || got+led.Count(muster.NotAttempted) != 4*n {
			t.Errorf("the fleet counted %d; ledger = %s", s.Stats().Requests, &led)
		}
		if led.Count(muster.NotAttempted) == 0 {
			t.Errorf("nothing was left out: %s", &led)
		}
		if state, why := j.End(); state != muster.StateCanceled || why != "first signal" {
			t.Errorf("ended %s (%s)", state, why)
		}
	}
}

// TestDrainEndsWhatWaits drains a job in which all that began waits for its retry.
func TestDrainEndsWhatWaits(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=status:503")})
	p := muster.Plan{Fanout: 50, FanoutFixed: true, Retries: 9, Backoff: 60000 * millisecond, MaxErrors: &muster.Size{N: 49}}
	j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{}), crowd{n: 200, port: s.Addr().Port()}, nil)
	j.until(t, "50 targets waiting", func(st fanout.Status) bool { return st.Waiting == 50 })
	begun := time.Now()
	j.Drain("signal")
	j.wait(t)
	led := j.Status().Ledger
	if led.Count(muster.Unexpected) != 50 || led.Count(muster.NotAttempted) != 150 || time.Since(begun) > 5*time.Second {
		t.Errorf("after %v: %s", time.Since(begun), &led)
	}
}

// TestDeadlineEndsTheJob bounds a job whose targets hang.
func TestDeadlineEndsTheJob(t *testing.T) {
	t.Parallel()
	for _, reuse := range []bool{false, true} {
		s := fleet(t, sim.Fleet{Rules: rules(t, "*=hang")})
		p := muster.Plan{Fanout: 200, FanoutFixed: true, Deadline: 500 * millisecond, Timeout: 60000 * millisecond}
		j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{FewHosts: reuse}), crowd{n: 1000, port: s.Addr().Port()}, nil)
		begun := time.Now()
		rs := j.wait(t)
		if took := time.Since(begun); took < 400*time.Millisecond || took > 3*time.Second {
			t.Errorf("ended after %v, want 500 ms", took)
		}
		led := j.Status().Ledger
		if led.Count(muster.Canceled) != 200 || led.Count(muster.NotAttempted) != 800 || rs[0].Reason != "deadline" {
			t.Errorf("ledger = %s; %q", &led, rs[0].Reason)
		}
		if state, why := j.End(); state != muster.StateStopped || why != "deadline" {
			t.Errorf("ended %s (%s)", state, why)
		}
	}
}

// TestCancelBeforeTheStart gives every target an outcome though nothing may begin.
func TestCancelBeforeTheStart(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run := compiled(t, `{"url":"/"}`, muster.Plan{}, Surroundings{}).Start(crowd{n: 5000, port: s.Addr().Port()}, nil)
	var got []muster.Result
	for batch := range run.Batches(ctx) {
		got = append(got, batch...)
	}
	closed(t, run.Status().Ledger, got)
	led := run.Status().Ledger
	if led.Count(muster.Canceled)+led.Count(muster.NotAttempted) != 5000 || s.Stats().Requests != 0 {
		t.Errorf("the fleet counted %d; ledger = %s", s.Stats().Requests, &led)
	}
}
