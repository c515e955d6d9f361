package fanout

import (
	"context"
	"time"

	"github.com/musterhq/muster"
)

// reserveSize is how many targets share one durable record: few enough that a death leaves
// few of them in doubt, many enough that the disk is not the limit.
const reserveSize = 64

// journal claims targets from the window, makes their numbers durable, and only then
// hands them out. Claimed targets count as under way for every limit.
func (r *Run) journal(ctx context.Context) {
	for {
		claimed, v, wakeAt := r.claim()
		if len(claimed) > 0 {
			r.reserve(ctx, claimed)
			continue
		}
		if v == finished {
			return
		}
		var timer <-chan time.Time
		if !wakeAt.IsZero() {
			timer = time.After(time.Until(wakeAt))
		}
		select {
		case <-timer:
		case <-r.wanted:
		case <-r.over:
			return
		}
	}
}

func (r *Run) claim() (ts []muster.Target, v verdict, wakeAt time.Time) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reserved) >= reserveSize {
		return nil, wait, wakeAt
	}
	for len(ts) < reserveSize {
		var t muster.Target
		if t, v = r.w.next(now); v != start {
			break
		}
		ts = append(ts, t)
	}
	return ts, v, r.w.wakeAt
}

func (r *Run) reserve(ctx context.Context, ts []muster.Target) {
	indexes := make([]int, len(ts))
	for i := range ts {
		indexes[i] = ts[i].Index
	}
	err := r.eng.Reserve(ctx, indexes)
	r.mu.Lock()
	switch {
	case ctx.Err() != nil:
		r.w.halt(causeOf(ctx), muster.StateCanceled)
	case err != nil:
		r.w.halt("journal: "+err.Error(), muster.StateStopped)
	}
	if r.w.stop != "" {
		for _, t := range ts {
			r.w.release(t)
		}
	} else {
		r.reserved = append(r.reserved, ts...)
	}
	r.mu.Unlock()
	signal(r.kicked)
}
