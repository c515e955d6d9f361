package fanout

import (
	"time"

	"github.com/musterhq/muster"
)

// carry hands results over in batches: at once when many wait or the job is over, else
// after a short wait for company, so that a fast job costs no wake-up per result.
func (r *Run) carry() {
	defer close(r.out)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for over := false; !over; {
		select {
		case <-r.full:
		case <-r.swept:
			over = true
		}
		if !over && r.pendingCount() < flushSize {
			timer.Reset(flushWait)
			select {
			case <-timer.C:
			case <-r.over:
			}
		}
		if batch := r.grab(); len(batch) > 0 {
			r.out <- batch // Batches takes until out is closed
			signal(r.kicked)
		}
	}
	if batch := r.grab(); len(batch) > 0 {
		r.out <- batch
	}
}

func (r *Run) pendingCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.w.pending)
}

// grab takes all pending results and leaves a used slice in their place.
func (r *Run) grab() []muster.Result {
	var spare []muster.Result
	select {
	case spare = <-r.spare:
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := r.w.pending
	r.w.pending, r.w.bytes, r.flushed = spare, 0, false
	return batch
}
