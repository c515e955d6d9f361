package fanout

import (
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// TestWindowLooksPastABusyHost has far more targets of one host than may be parked, with other hosts behind them: they
// start in order, one at a time, and the list is read in portions.
func TestWindowLooksPastABusyHost(t *testing.T) {
	t.Parallel()
	const busy, others = 3 * maxParked, 5
	reads := 0
	l := hosts{n: busy + others, odd: func(t *muster.Target) error {
		reads++
		if t.Index < busy {
			t.Host = "busy"
		}
		return nil
	}}
	w := newWindow(muster.Plan{Fanout: 100, FanoutFixed: true, PerHost: 1}, l)
	w.limit.limit = 100
	now := time.Unix(0, 0)
	bursts, idle := 0, 0
	for i := range busy {
		before := reads
		tg, v := w.next(now)
		if v != start || tg.Index != i {
			t.Fatalf("next = %d, %v; want target %d", tg.Index, v, i)
		}
		for tg, v := w.next(now); v == start; tg, v = w.next(now) {
			if tg.Index < busy {
				t.Fatalf("target %d started beside another of its host", tg.Index)
			}
			idle++
			w.done(now, tg, okResult())
		}
		if w.parked.n > maxParked || w.mayStart() != (!w.parked.full && !w.order.done()) {
			t.Fatalf("%d parked, may start %v", w.parked.n, w.mayStart())
		}
		if reads > before {
			bursts++
		}
		w.done(now, tg, okResult())
		if len(w.pending) > 1000 {
			w.pending = w.pending[:0]
		}
	}
	if idle != others || reads != busy+others || w.inflight != 0 || !w.idle() {
		t.Errorf("%d of the others started, %d reads, %d in flight", idle, reads, w.inflight)
	}
	if bursts > busy/lookAgain+2 {
		t.Errorf("the list was read %d times for %d ends", bursts, busy)
	}
}

func TestLotReusesItsRoom(t *testing.T) {
	t.Parallel()
	var q lot[int]
	next := 0
	for i := range 10_000 {
		q.push(i)
		if i >= 100 {
			if v := q.pop(); v != next {
				t.Fatalf("pop = %d, want %d", v, next)
			}
			next++
		}
	}
	if cap(q.items) > 512 || len(q.items)-q.head != 100 {
		t.Errorf("room for %d with %d inside", cap(q.items), len(q.items)-q.head)
	}
}
