package fanout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixed(n int) muster.Plan { return muster.Plan{Fanout: n, FanoutFixed: true} }

// gauge counts what is under way at once.
type gauge struct{ now, peak, total atomic.Int64 }

func (g *gauge) enter() {
	g.total.Add(1)
	n := g.now.Add(1)
	for p := g.peak.Load(); n > p && !g.peak.CompareAndSwap(p, n); p = g.peak.Load() {
	}
}

func (g *gauge) probe(d time.Duration, res func(t muster.Target) muster.Result) muster.Prober {
	return muster.ProberFunc(func(ctx context.Context, t muster.Target) muster.Result {
		g.enter()
		defer g.now.Add(-1)
		select {
		case <-time.After(d):
			return res(t)
		case <-ctx.Done():
			return muster.Result{}
		}
	})
}

func always(r muster.Result) func(muster.Target) muster.Result {
	return func(muster.Target) muster.Result { return r }
}

func TestRunKeepsTheWindowFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		begun := time.Now()
		rs := collect(t, &Engine{Plan: fixed(100)}, hosts{n: 10_000}, g.probe(time.Second, always(okResult())))
		if l := ledgerOf(rs); l.Count(muster.OK) != 10_000 {
			t.Errorf("ledger = %s", &l)
		}
		if g.peak.Load() != 100 {
			t.Errorf("peak = %d under way, want 100", g.peak.Load())
		}
		if d := time.Since(begun); d != 100*time.Second {
			t.Errorf("10,000 probes of 1 s at width 100 took %v, want 100 s", d)
		}
	})
}

func TestRunIsExactOnErrorBudget(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		fanout  int
		budget  muster.Size
		retries int
	}{
		{"none tolerated", 50, muster.Size{}, 0},
		{"seven", 500, muster.Size{N: 7}, 0},
		{"one percent with retries", 500, muster.Size{Percent: 1}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g gauge
				p := fixed(tc.fanout)
				p.MaxErrors, p.Retries = &tc.budget, tc.retries
				l := hosts{n: 5000}
				run := (&Engine{Plan: p}).Start(l, g.probe(time.Second, func(t muster.Target) muster.Result {
					if t.Index%3 == 0 {
						return refused()
					}
					return okResult()
				}))
				var got []muster.Result
				for b := range run.Batches(t.Context()) {
					got = append(got, b...)
				}
				led := ledgerOf(byIndex(t, got, 5000))
				if want := tc.budget.Of(5000) + 1; led.Spent() != want {
					t.Errorf("%d failures, want exactly %d: %s", led.Spent(), want, &led)
				}
				if led.Count(muster.NotAttempted) == 0 || !led.Closed() {
					t.Errorf("ledger = %s", &led)
				}
				if state, why := run.End(); state != muster.StateStopped || why != "error budget" {
					t.Errorf("ended %s (%s)", state, why)
				}
			})
		})
	}
}

func TestRunRetriesTransientFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls [3]atomic.Int64
		p := fixed(10)
		p.Retries = 3
		rs := collect(t, &Engine{Plan: p}, hosts{n: 3}, muster.ProberFunc(func(_ context.Context, t muster.Target) muster.Result {
			n := calls[t.Index].Add(1)
			switch {
			case t.Index == 0 && n == 3:
				return okResult()
			case t.Index == 1:
				return muster.Result{}.Fail(muster.FailTLS, "expired") // not transient
			}
			return refused()
		}))
		for i, want := range []struct {
			o        muster.Outcome
			attempts int
		}{{muster.OK, 3}, {muster.Failed, 1}, {muster.Failed, 4}} {
			if rs[i].Outcome != want.o || rs[i].Attempts != want.attempts {
				t.Errorf("target %d: %s after %d attempts, want %s after %d", i, rs[i].Outcome, rs[i].Attempts, want.o, want.attempts)
			}
		}
	})
}

func TestRunNeverRepeatsWhatWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls, reserved atomic.Int64
		p := fixed(100)
		p.Retries, p.Repeat = 5, muster.RepeatNever
		seen := make([]atomic.Bool, 1000)
		e := &Engine{Plan: p, Reserve: func(_ context.Context, idx []int) error {
			if len(idx) > reserveSize {
				return fmt.Errorf("%d targets in one record", len(idx))
			}
			for _, i := range idx {
				seen[i].Store(true)
			}
			reserved.Add(int64(len(idx)))
			return nil
		}}
		rs := collect(t, e, hosts{n: 1000}, muster.ProberFunc(func(_ context.Context, tg muster.Target) muster.Result {
			if !seen[tg.Index].Load() {
				t.Errorf("target %d started before it was reserved", tg.Index)
			}
			calls.Add(1)
			r := refused()
			r.Sent = true
			return r
		}))
		if calls.Load() != 1000 || reserved.Load() != 1000 || len(rs) != 1000 {
			t.Errorf("%d attempts, %d reserved, want 1000 each", calls.Load(), reserved.Load())
		}
	})
}

func TestRunStopsWhenTheJournalBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Repeat = muster.RepeatNever
		calls := 0
		e := &Engine{Plan: p, Reserve: func(context.Context, []int) error {
			if calls++; calls > 2 {
				return errors.New("disk full")
			}
			return nil
		}}
		rs := collect(t, e, hosts{n: 1000}, muster.ProberFunc(func(context.Context, muster.Target) muster.Result { return okResult() }))
		led := ledgerOf(rs)
		if led.Count(muster.OK) == 0 || led.Count(muster.OK) > 2*reserveSize || led.Count(muster.OK)+led.Count(muster.NotAttempted) != 1000 {
			t.Errorf("ledger = %s", &led)
		}
	})
}

func TestRunWaitsForItsOwnResources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		rs := collect(t, &Engine{Plan: fixed(200)}, hosts{n: 1000}, muster.ProberFunc(func(_ context.Context, tg muster.Target) muster.Result {
			g.enter()
			defer g.now.Add(-1)
			if g.now.Load() > 50 {
				return muster.Result{Transient: true, Reason: "descriptors"}.Fail(muster.FailLocal, "too many open files")
			}
			time.Sleep(10 * time.Millisecond)
			return okResult()
		}))
		if led := ledgerOf(rs); led.Count(muster.OK) != 1000 {
			t.Errorf("ledger = %s; want every target to wait for its turn", &led)
		}
	})
}

func TestRunCapsHostsAndGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(1000)
		p.PerHost = 4
		p.PerGroup = []muster.GroupCap{{Label: "rack", Max: 10}}
		var byHost, byRack [10]gauge
		l := hosts{n: 2000, odd: func(t *muster.Target) error {
			t.Host = fmt.Sprint(t.Index % 10)
			t.Labels = map[string]string{"rack": fmt.Sprint(t.Index % 3)}
			return nil
		}}
		rs := collect(t, &Engine{Plan: p}, l, muster.ProberFunc(func(_ context.Context, t muster.Target) muster.Result {
			h, r := &byHost[t.Index%10], &byRack[t.Index%3]
			h.enter()
			r.enter()
			time.Sleep(time.Second)
			h.now.Add(-1)
			r.now.Add(-1)
			return okResult()
		}))
		if led := ledgerOf(rs); led.Count(muster.OK) != 2000 {
			t.Errorf("ledger = %s", &led)
		}
		for i := range 10 {
			if byHost[i].peak.Load() != 4 {
				t.Errorf("host %d saw %d at once, want 4", i, byHost[i].peak.Load())
			}
		}
		for i := range 3 {
			if byRack[i].peak.Load() != 10 {
				t.Errorf("rack %d saw %d at once, want 10", i, byRack[i].peak.Load())
			}
		}
	})
}

func TestRunKeepsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(100)
		p.Rate = 50
		begun := time.Now()
		collect(t, &Engine{Plan: p}, hosts{n: 500}, (&gauge{}).probe(time.Millisecond, always(okResult())))
		if d := time.Since(begun); d < 9900*time.Millisecond || d > 10200*time.Millisecond {
			t.Errorf("500 targets at 50/s took %v, want 10 s", d)
		}
	})
}

func TestRunBatchesAndCanary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(1000)
		p.Batches = []muster.Size{{N: 1}, {N: 5}, {Percent: 20}}
		var mu sync.Mutex
		var starts []time.Duration
		begun := time.Now()
		collect(t, &Engine{Plan: p}, hosts{n: 100}, muster.ProberFunc(func(context.Context, muster.Target) muster.Result {
			mu.Lock()
			starts = append(starts, time.Since(begun))
			mu.Unlock()
			time.Sleep(time.Second)
			return okResult()
		}))
		waves := map[time.Duration]int{}
		for _, s := range starts {
			waves[s.Truncate(time.Second)]++
		}
		for i, want := range []int{1, 5, 20, 20, 20, 20, 14} {
			if got := waves[time.Duration(i)*time.Second]; got != want {
				t.Errorf("batch %d had %d targets, want %d", i, got, want)
			}
		}
	})
}

func TestRunStopsOnCanary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(100)
		p.Canary, p.Seed = muster.Size{Percent: 5}, 42
		var g gauge
		sampled := func() []int {
			var idx []int
			for i, r := range collect(t, &Engine{Plan: p}, hosts{n: 1000}, g.probe(time.Second, always(refused()))) {
				if r.Outcome == muster.Failed {
					idx = append(idx, i)
				}
			}
			return idx
		}
		a, b := sampled(), sampled()
		if len(a) == 0 || len(a) > 50 || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("canary hit %v, then %v: want the same sample of at most 50", a, b)
		}
	})
}

func TestRunAccountsForRowsThatAreNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.MaxErrors = &muster.Size{} // none of these may spend it
		p.Batches = []muster.Size{{N: 7}}
		l := hosts{n: 30, odd: func(t *muster.Target) error {
			t.Off = t.Index%3 == 1
			if t.Index%3 == 2 {
				return errRow
			}
			return nil
		}}
		led := ledgerOf(collect(t, &Engine{Plan: p}, l, (&gauge{}).probe(time.Second, always(okResult()))))
		if led.Count(muster.OK) != 10 || led.Count(muster.NotAttempted) != 10 || led.Count(muster.Invalid) != 10 {
			t.Errorf("ledger = %s", &led)
		}
	})
}

func TestRunDrainsThenCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var g gauge
		run := (&Engine{Plan: fixed(10)}).Start(hosts{n: 1000}, g.probe(10*time.Second, always(okResult())))
		go func() {
			time.Sleep(15 * time.Second)
			run.Drain("interrupted")
			time.Sleep(2 * time.Second)
			cancel()
		}()
		var got []muster.Result
		begun := time.Now()
		for b := range run.Batches(ctx) {
			got = append(got, b...)
		}
		led := ledgerOf(byIndex(t, got, 1000))
		if led.Count(muster.OK) != 10 || led.Count(muster.Canceled) != 10 || led.Count(muster.NotAttempted) != 980 {
			t.Errorf("ledger = %s", &led)
		}
		if d := time.Since(begun); d > 17100*time.Millisecond {
			t.Errorf("ended after %v, want at once after the cancel at 17 s", d)
		}
		if state, why := run.End(); state != muster.StateCanceled || why != "interrupted" {
			t.Errorf("ended %s (%s)", state, why)
		}
	})
}

func TestRunKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Deadline, p.Timeout = 25*second, 60*second
		begun := time.Now()
		led := ledgerOf(collect(t, &Engine{Plan: p}, hosts{n: 100}, (&gauge{}).probe(10*time.Second, always(okResult()))))
		if d := time.Since(begun); d < 25*time.Second || d > 25100*time.Millisecond {
			t.Errorf("ended after %v, want 25 s", d)
		}
		if led.Count(muster.OK) != 20 || led.Count(muster.Canceled) != 10 || led.Count(muster.NotAttempted) != 70 {
			t.Errorf("ledger = %s", &led)
		}
	})
}

func TestRunTimesOutAndSurvivesPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Timeout = second
		rs := collect(t, &Engine{Plan: p}, hosts{n: 2}, muster.ProberFunc(func(ctx context.Context, t muster.Target) muster.Result {
			if t.Index == 0 {
				panic("boom")
			}
			<-ctx.Done()
			return muster.Result{}
		}))
		if rs[0].Failure != muster.FailLocal || rs[1].Failure != muster.FailTimeout {
			t.Errorf("failures = %s, %s; want local, timeout", rs[0].Failure, rs[1].Failure)
		}
	})
}

func TestRunMayBeAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		n := 0
		for range (&Engine{Plan: fixed(50)}).Run(t.Context(), hosts{n: 100_000}, g.probe(time.Second, always(okResult()))) {
			if n++; n == 10 {
				break
			}
		}
		if g.now.Load() != 0 {
			t.Errorf("%d still under way after the loop", g.now.Load())
		}
	})
}

func TestRunSlowsDownForItsReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		run := (&Engine{Plan: fixed(100)}).Start(hosts{n: 200_000}, g.probe(time.Millisecond, always(okResult())))
		for range run.Batches(t.Context()) {
			time.Sleep(time.Second)
			synctest.Wait()
			s := run.Status()
			if s.Ledger.Ended() < 200_000 && s.Reason != "store" {
				t.Errorf("reason = %q with a slow reader, want store", s.Reason)
			}
			break
		}
		if n := g.total.Load(); n > 3*maxPending {
			t.Errorf("%d targets started while nobody took results", n)
		}
	})
}

func TestRunPausesAndResumes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		run := (&Engine{Plan: fixed(10)}).Start(hosts{n: 50}, g.probe(time.Second, always(okResult())))
		go func() {
			time.Sleep(1500 * time.Millisecond)
			run.Pause()
			time.Sleep(10 * time.Second)
			if n := g.total.Load(); n != 20 || run.Status().Reason != "paused" {
				t.Errorf("%d started, reason %q; want 20, paused", n, run.Status().Reason)
			}
			run.Resume()
		}()
		begun := time.Now()
		for range run.Batches(t.Context()) {
		}
		if d := time.Since(begun); d < 14*time.Second || d > 15*time.Second {
			t.Errorf("took %v, want about 14.5 s", d)
		}
	})
}
