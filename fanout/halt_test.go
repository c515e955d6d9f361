package fanout

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster"
)

func TestRetriesInWaitAreBounded(t *testing.T) {
	t.Parallel()
	w := newWindow(muster.Plan{Fanout: 100_000, FanoutFixed: true, Retries: 5}, hosts{n: 1 << 20})
	w.limit.limit = 1 << 20
	now := time.Unix(0, 0)
	for {
		tg, v := w.next(now)
		if v != start {
			break
		}
		r := refused()
		r.Body = make([]byte, 1024)
		w.done(now, tg, r)
	}
	if w.blocked != "retries" || w.retries.len() > maxPending || w.retries.bytes > maxPendingBytes {
		t.Errorf("%d wait with %d bytes, blocked by %q; want at most %d, retries", w.retries.len(), w.retries.bytes, w.blocked, maxPending)
	}
}

func TestARetryAtItsCapDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	l := hosts{n: 10, odd: func(t *muster.Target) error {
		if t.Index < 2 {
			t.Host = "busy"
		}
		return nil
	}}
	w := newWindow(muster.Plan{Fanout: 10, FanoutFixed: true, PerHost: 1, Retries: 1}, l)
	now := time.Unix(0, 0)
	var first muster.Target
	for tg, v := w.next(now); v == start; tg, v = w.next(now) {
		if tg.Index == 0 {
			first = tg
			continue
		}
		w.done(now, tg, refused())
	}
	w.done(now, first, refused())
	second, v := w.next(now) // the other target of the busy host takes its place
	if v != start || second.Host != "busy" {
		t.Fatalf("next = %v, %v; want the parked target of the busy host", second, v)
	}
	later := now.Add(time.Minute)
	n := 0
	for _, v := w.next(later); v == start; _, v = w.next(later) {
		n++
	}
	if n != 8 {
		t.Errorf("%d retries started while one host was busy, want the 8 of the others", n)
	}
}

func TestCanaryOfUnsentTargetsProvesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Canary = muster.Size{N: 5}
		sample := map[int]bool{}
		o := newOrder(&p, 1000)
		for range 5 {
			i, _ := o.next()
			sample[i] = true
		}
		l := hosts{n: 1000, odd: func(t *muster.Target) error { t.Off = sample[t.Index]; return nil }}
		led := ledgerOf(collect(t, &Engine{Plan: p}, l, (&gauge{}).probe(time.Second, always(refused()))))
		if led.Count(muster.Failed) > 5 {
			t.Errorf("ledger = %s; want the canary to stop the job", &led)
		}
	})
}

func TestADoneJobStaysDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := (&Engine{Plan: fixed(10)}).Start(hosts{n: 20}, (&gauge{}).probe(time.Second, always(okResult())))
		for range run.Batches(t.Context()) {
		}
		run.Drain("interrupted")
		if state, why := run.End(); state != muster.StateDone {
			t.Errorf("ended %s (%s), want done", state, why)
		}
	})
}

func TestCancelDuringReserveIsACancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Repeat = muster.RepeatNever
		ctx, cancel := context.WithCancel(t.Context())
		e := &Engine{Plan: p, Reserve: func(ctx context.Context, _ []int) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}
		run := e.Start(hosts{n: 100}, (&gauge{}).probe(time.Second, always(okResult())))
		for range run.Batches(ctx) {
		}
		if state, why := run.End(); state != muster.StateCanceled || why != "canceled" {
			t.Errorf("ended %s (%s), want canceled", state, why)
		}
	})
}

func TestReservedTargetsStartInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(1)
		p.Repeat = muster.RepeatNever
		e := &Engine{Plan: p, Reserve: func(context.Context, []int) error { return nil }}
		last := -1
		collect(t, e, hosts{n: 200}, muster.ProberFunc(func(_ context.Context, tg muster.Target) muster.Result {
			if tg.Index < last {
				t.Errorf("target %d after %d", tg.Index, last)
			}
			last = tg.Index
			return okResult()
		}))
	})
}

func TestATriedTargetKeepsItsFailureWhenTheJobStops(t *testing.T) {
	t.Parallel()
	w := newWindow(muster.Plan{Retries: 3}, hosts{n: 1})
	now := time.Unix(0, 0)
	tg, _ := w.next(now)
	w.done(now, tg, refused())
	tg, v := w.next(now.Add(time.Minute))
	if v != start {
		t.Fatalf("the retry did not start: %v", v)
	}
	w.halt("interrupted", muster.StateCanceled)
	w.release(tg)
	if r := w.pending[0]; r.Outcome != muster.Failed || r.Attempts != 1 || len(w.again) != 0 {
		t.Errorf("ended %s after %d attempts, %d remembered", r.Outcome, r.Attempts, len(w.again))
	}
}
