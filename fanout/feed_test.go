package fanout

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster"
)

// eventLoop is a BatchProber in miniature: every exchange lasts d; odd targets do not fit it.
type eventLoop struct {
	gauge
	d      time.Duration
	res    func(muster.Target) muster.Result
	single atomic.Int64
}

func (e *eventLoop) Batchable(t muster.Target) bool { return t.Index%10 != 9 }

func (e *eventLoop) Probe(ctx context.Context, _ muster.Target) muster.Result {
	e.single.Add(1)
	select {
	case <-time.After(e.d):
	case <-ctx.Done():
	}
	return okResult()
}

func (e *eventLoop) ProbeBatch(ctx context.Context, f muster.Feed) {
	type flight struct {
		t   muster.Target
		end time.Time
	}
	var under []flight
	wake := make(chan struct{}, 1)
	f.Notify(func() { signal(wake) })
	for more := true; more || len(under) > 0; {
		for more {
			t, ok, m := f.Next()
			if more = m; !ok {
				break
			}
			e.enter()
			under = append(under, flight{t, time.Now().Add(e.d)})
		}
		f.Flush()
		if !more && len(under) == 0 {
			return
		}
		var timer <-chan time.Time
		if len(under) > 0 {
			timer = time.After(time.Until(under[0].end))
		}
		select {
		case <-timer:
		case <-wake:
		case <-ctx.Done():
			for _, u := range under {
				e.now.Add(-1)
				f.Done(u.t, muster.Result{Outcome: muster.Canceled})
			}
			f.Flush()
			return
		}
		for len(under) > 0 && !under[0].end.After(time.Now()) {
			u := under[0]
			under = under[1:]
			e.now.Add(-1)
			f.Done(u.t, e.res(u.t))
		}
		f.Flush()
	}
}

func TestRunFeedsEventLoops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &eventLoop{d: time.Second, res: always(okResult())}
		begun := time.Now()
		led := ledgerOf(collect(t, &Engine{Plan: fixed(100), Loops: 2}, hosts{n: 5000}, p))
		if led.Count(muster.OK) != 5000 || p.single.Load() != 500 {
			t.Errorf("ledger = %s, %d through Probe; want 5000 ok, 500 through Probe", &led, p.single.Load())
		}
		if d := time.Since(begun); d < 50*time.Second || d > 51*time.Second {
			t.Errorf("took %v, want 50 s", d)
		}
	})
}

func TestFeedIsExactOnErrorBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := fixed(1000)
		plan.MaxErrors = &muster.Size{N: 20}
		plan.Retries = 1
		p := &eventLoop{d: time.Second, res: func(t muster.Target) muster.Result {
			if t.Index%2 == 0 {
				return refused()
			}
			return okResult()
		}}
		led := ledgerOf(collect(t, &Engine{Plan: plan, Loops: 3}, hosts{n: 3000}, p))
		if led.Spent() != 21 {
			t.Errorf("ledger = %s, want exactly 21 failures", &led)
		}
	})
}

func TestFeedKeepsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := fixed(1000)
		plan.Rate = 200
		begun := time.Now()
		collect(t, &Engine{Plan: plan, Loops: 2}, hosts{n: 1000}, &eventLoop{d: time.Millisecond, res: always(okResult())})
		if d := time.Since(begun); d < 4900*time.Millisecond || d > 5200*time.Millisecond {
			t.Errorf("1,000 targets at 200/s took %v, want 5 s", d)
		}
	})
}

func TestFeedReservesBeforeItStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := fixed(200)
		plan.Repeat = muster.RepeatNever
		var reserved atomic.Int64
		e := &Engine{Plan: plan, Loops: 2, Reserve: func(_ context.Context, idx []int) error {
			time.Sleep(2 * time.Millisecond)
			reserved.Add(int64(len(idx)))
			return nil
		}}
		p := &eventLoop{d: 100 * time.Millisecond}
		p.res = func(muster.Target) muster.Result {
			if p.total.Load() > reserved.Load() {
				t.Errorf("%d started, %d reserved", p.total.Load(), reserved.Load())
			}
			return okResult()
		}
		led := ledgerOf(collect(t, e, hosts{n: 2000}, p))
		if led.Count(muster.OK) != 2000 || reserved.Load() != 2000 {
			t.Errorf("ledger = %s, %d reserved", &led, reserved.Load())
		}
	})
}

func TestFeedCancelReachesTheLoops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		p := &eventLoop{d: time.Second, res: always(okResult())}
		var got []muster.Result
		begun := time.Now()
		for r := range (&Engine{Plan: fixed(100)}).Run(ctx, hosts{n: 10_000}, p) {
			got = append(got, r)
		}
		led := ledgerOf(byIndex(t, got, 10_000))
		if time.Since(begun) > 2600*time.Millisecond || !led.Closed() || led.Count(muster.Canceled) == 0 {
			t.Errorf("after %v: %s", time.Since(begun), &led)
		}
		if p.now.Load() != 0 {
			t.Errorf("%d still under way", p.now.Load())
		}
	})
}
