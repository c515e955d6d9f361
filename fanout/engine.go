package fanout

import (
	"context"
	"iter"

	"github.com/musterhq/muster"
)

// Engine holds what runs have in common. The zero value works: an empty plan, no
// journal, no limit on sockets but the plan's. An Engine is not changed by its
// runs and may be shared.
type Engine struct {
	// Plan says how to spread the work. It must be valid.
	Plan muster.Plan
	// Reserve makes the numbers of up to 64 targets durable before any of them is
	// started; it is called only when Plan.Repeat is RepeatNever, by one goroutine. An
	// error stops the job with nothing of those targets sent. Nil reserves nothing.
	Reserve func(ctx context.Context, indexes []int) error
	// Judge completes a result before the engine decides on retry and budget:
	// fields, expectation. It is called concurrently. Nil leaves results alone.
	Judge func(t *muster.Target, r *muster.Result)
	// Sockets returns how many sockets may be open now and the name of what
	// limits them ("descriptors", "ports"). Nil is no limit.
	Sockets func() (limit int, why string)
	// Loops is how many event loops drive a BatchProber; 0 means one per
	// processor, at most four: beyond that the kernel's own work dominates.
	Loops int
}

// Run yields every target's result, in the order in which they end. Breaking out
// of the loop or ending ctx aborts what is under way; with ctx ended the
// remaining results still come, as canceled or not attempted. The iterator
// returns when all its goroutines have ended.
func (e *Engine) Run(ctx context.Context, ts muster.List, p muster.Prober) iter.Seq[muster.Result] {
	return func(yield func(muster.Result) bool) {
		for batch := range e.Start(ts, p).Batches(ctx) {
			for i := range batch {
				if !yield(batch[i]) {
					return
				}
			}
		}
	}
}

// Start prepares a run over ts; nothing is sent before [Run.Batches].
func (e *Engine) Start(ts muster.List, p muster.Prober) *Run {
	return newRun(e, ts, p)
}
