package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// TestWindowKeepsItsPromises plays random plans against random targets, without
// goroutines, and checks after every step what the design promises.
func TestWindowKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		p := muster.Plan{
			Fanout: rapid.IntRange(1, 50).Draw(t, "fanout"), FanoutFixed: true,
			PerHost: rapid.IntRange(1, 5).Draw(t, "perHost"),
			Retries: rapid.IntRange(0, 2).Draw(t, "retries"),
			Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: rapid.Uint64().Draw(t, "seed"),
			SoftErrors: rapid.Bool().Draw(t, "soft"),
		}
		if k := rapid.IntRange(-1, 20).Draw(t, "budget"); k >= 0 {
			p.MaxErrors = &muster.Size{N: k}
		}
		if rapid.Bool().Draw(t, "batches") {
			p.Batches = []muster.Size{{N: 1}, {Percent: 10}}
		}
		if rapid.Bool().Draw(t, "canary") {
			p.Canary = muster.Size{N: rapid.IntRange(1, 5).Draw(t, "canarySize")}
		}
		failing := rapid.IntRange(0, 100).Draw(t, "failing")
		l := hosts{n: n, odd: func(t *muster.Target) error {
			t.Host = fmt.Sprint(t.Index % 7)
			t.Off = t.Index%11 == 3
			if t.Index%13 == 5 {
				return errRow
			}
			return nil
		}}
		play(t, newWindow(p, l), rand.New(rand.NewPCG(p.Seed, 1)), failing)
	})
}

func play(t *rapid.T, w *window, rnd *rand.Rand, failing int) {
	now := time.Unix(0, 0)
	var under []muster.Target
	attempts := map[int]int{}
	for step := 0; ; step++ {
		if step > 100_000 {
			t.Fatalf("no end: %d under way, blocked by %q, ledger %s", len(under), w.blocked, &w.ledger)
		}
		tg, v := w.next(now)
		switch {
		case v == start:
			under = append(under, tg)
			if attempts[tg.Index]++; attempts[tg.Index] > w.plan.Retries+1 {
				t.Fatalf("target %d had %d attempts with %d retries", tg.Index, attempts[tg.Index], w.plan.Retries)
			}
		case len(under) > 0:
			i := rnd.IntN(len(under))
			tg = under[i]
			under = slices.Delete(under, i, i+1)
			res := okResult()
			if rnd.IntN(100) < failing {
				res = refused()
			}
			w.done(now, tg, res)
		case v == finished:
			for w.stop != "" && w.sweep(10) {
			}
			settle(t, w)
			return
		default:
			if w.wakeAt.IsZero() {
				t.Fatalf("stuck: nothing under way, blocked by %q, no timer", w.blocked)
			}
			now = w.wakeAt
		}
		invariants(t, w, under)
	}
}

func invariants(t *rapid.T, w *window, under []muster.Target) {
	if len(under) > w.plan.Fanout {
		t.Fatalf("%d under way at fanout %d", len(under), w.plan.Fanout)
	}
	perHost := map[string]int{}
	for _, u := range under {
		if perHost[u.Host]++; perHost[u.Host] > w.plan.PerHost {
			t.Fatalf("%d under way on host %s, cap %d", perHost[u.Host], u.Host, w.plan.PerHost)
		}
	}
	if b := w.budget; b.tolerated >= 0 && !b.soft {
		if b.failures > b.tolerated+1 {
			t.Fatalf("%d failures with %d tolerated", b.failures, b.tolerated)
		}
		if w.stop == "" && w.exposed > b.tolerated+1-b.failures {
			t.Fatalf("%d exposed with %d of %d failures", w.exposed, b.failures, b.tolerated)
		}
	}
}

func settle(t *rapid.T, w *window) {
	if !w.ledger.Closed() {
		t.Fatalf("ledger not closed: %s", &w.ledger)
	}
	seen := map[int]bool{}
	for _, r := range w.pending {
		if seen[r.Index] {
			t.Fatalf("target %d has two results", r.Index)
		}
		seen[r.Index] = true
	}
	if w.inflight != 0 || w.exposed != 0 || len(w.caps.hosts) != 0 || len(w.again) != 0 || w.retries.bytes != 0 || w.parked.n != 0 {
		t.Fatalf("leftovers: %d in flight, %d exposed, caps %v, tries %v, %d parked",
			w.inflight, w.exposed, w.caps.hosts, w.again, w.parked.n)
	}
}

func TestOrderVisitsEveryNumberOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 2000).Draw(t, "n")
		p := muster.Plan{Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: rapid.Uint64().Draw(t, "seed")}
		if rapid.Bool().Draw(t, "canary") {
			p.Canary = muster.Size{Percent: 7}
		}
		o := newOrder(&p, n)
		seen := make([]bool, n)
		for i, ok := o.next(); ok; i, ok = o.next() {
			if seen[i] {
				t.Fatalf("%d twice", i)
			}
			seen[i] = true
		}
		if slices.Contains(seen, false) {
			t.Fatal("a number is missing")
		}
	})
}

func TestBackoffDoublesWithJitter(t *testing.T) {
	t.Parallel()
	for n, mean := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second} {
		if n == 0 {
			continue
		}
		for range 100 {
			if d := backoff(time.Second, n); d < mean/2 || d > mean*3/2 {
				t.Fatalf("pause before retry %d = %v, want within half of %v", n, d, mean)
			}
		}
	}
	if d := backoff(time.Second, 60); d > 2*muster.MaxBackoff {
		t.Errorf("pause before retry 60 = %v, want it capped", d)
	}
}

// BenchmarkWindow is the engine's own cost per target, without any exchange.
func BenchmarkWindow(b *testing.B) {
	b.ReportAllocs()
	w := newWindow(fixed(1000), hosts{n: 1 << 40})
	now := time.Now()
	for b.Loop() {
		t, _ := w.next(now)
		w.done(now, t, okResult())
		w.pending = w.pending[:0]
	}
}
