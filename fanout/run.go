package fanout

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

const (
	tickEvery = 100 * time.Millisecond // of the limiter
	flushSize = 512                    // results that are worth handing over at once
	flushWait = 20 * time.Millisecond  // longest that a result waits for company
	sweepSize = 4096                   // unattempted targets reported per turn
)

// Causes with which a run ends what is under way.
var (
	errDeadline  = errors.New("deadline")
	errAbandoned = errors.New("abandoned")
)

// Run is one job under way. Its methods may be called by any goroutine, before,
// during and after Batches.
type Run struct {
	eng    *Engine
	list   muster.List
	probe  muster.Prober
	loops  []*loop
	out    chan []muster.Result
	spare  chan []muster.Result
	kicked chan struct{} // governor: something may be able to start
	replan chan struct{} // governor: a timer is needed sooner than planned
	full   chan struct{} // courier: results are worth handing over
	wanted chan struct{} // journal: targets are asked for
	swept  chan struct{} // closed when the governor has ended, after the last result
	over   chan struct{} // closed when every target has its outcome

	mu          sync.Mutex // guards all below
	w           *window
	reserved    []muster.Target // durably reserved and not yet handed out
	flushed     bool            // full has been signalled since the last hand-over
	started     time.Time
	rate        float64
	endedBefore int
	lastTick    time.Time
	planned     time.Time // when the governor looks again by itself
}

func newRun(e *Engine, ts muster.List, p muster.Prober) *Run {
	return &Run{
		eng: e, list: ts, probe: p, w: newWindow(e.Plan, ts),
		out: make(chan []muster.Result), spare: make(chan []muster.Result, 2),
		kicked: make(chan struct{}, 1), replan: make(chan struct{}, 1), full: make(chan struct{}, 1), wanted: make(chan struct{}, 1),
		swept: make(chan struct{}), over: make(chan struct{}),
	}
}

// Batches starts the job and yields its results in batches, each valid until the next is
// asked for. It may be called once. Leaving the loop aborts what is under way.
func (r *Run) Batches(ctx context.Context) iter.Seq[[]muster.Result] {
	return func(yield func([]muster.Result) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { r.govern(ctx, cancel) })
		wg.Go(r.carry)
		for batch := range r.out {
			if !yield(batch) {
				cancel(errAbandoned)
				for range r.out { // the run ends by itself; nobody wants the rest
				}
				return
			}
			r.recycle(batch)
		}
	}
}

func (r *Run) recycle(batch []muster.Result) {
	clear(batch)
	select {
	case r.spare <- batch[:0]:
	default:
	}
}

// Drain stops new starts; what is under way goes on to its end. Further calls do nothing.
func (r *Run) Drain(why string) {
	r.mu.Lock()
	r.w.cut(why, muster.StateCanceled)
	r.mu.Unlock()
	signal(r.kicked)
}

// Pause keeps new targets from starting until Resume.
func (r *Run) Pause() { r.pause(true) }

// Resume ends a pause.
func (r *Run) Resume() { r.pause(false) }

func (r *Run) pause(on bool) {
	r.mu.Lock()
	r.w.paused = on
	r.mu.Unlock()
	signal(r.kicked)
}

// End returns the job's final state and, when it ended early, why; StateRunning before the end.
func (r *Run) End() (state muster.JobState, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.w.ledger.Closed() {
		return muster.StateRunning, ""
	}
	if r.w.stop == "" {
		return muster.StateDone, ""
	}
	return r.w.state, r.w.stop
}

// take asks the window for the next target to start.
func (r *Run) take(now time.Time) (muster.Target, verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takeLocked(now)
}

func (r *Run) takeLocked(now time.Time) (muster.Target, verdict) {
	if !r.journaled() {
		t, v := r.w.next(now)
		if v == wait && !r.w.wakeAt.IsZero() && r.w.wakeAt.Before(r.planned) {
			signal(r.replan)
		}
		return t, v
	}
	if len(r.reserved) > 0 && r.w.stop == "" {
		t := r.reserved[0]
		r.reserved = r.reserved[1:]
		return t, start
	}
	if r.w.stop != "" || r.w.idle() {
		return muster.Target{}, finished
	}
	signal(r.wanted)
	if r.w.blocked == "" {
		r.w.blocked = "store" // the window would give more than the journal makes durable
	}
	return muster.Target{}, wait
}

func (r *Run) journaled() bool { return r.w.never && r.eng.Reserve != nil }

// finish reports one attempt's end and takes the next target in the same breath.
func (r *Run) finish(ctx context.Context, t muster.Target, res muster.Result) (muster.Target, verdict) {
	r.complete(ctx, &t, &res)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.w.done(now, t, res)
	next, v := r.takeLocked(now)
	r.settle(v)
	return next, v
}

// settle wakes whom the last change concerns: the governor only if it may have something to do, after the
// window gave v to the last who asked. The caller holds r.mu.
func (r *Run) settle(v verdict) {
	if !r.flushed && len(r.w.pending) > 0 {
		r.flushed = true
		signal(r.full)
	}
	if r.w.inflight == 0 || r.w.stop != "" || v == start && r.w.mayStart() {
		signal(r.kicked)
	}
}

// releaseReserved ends what is reserved and will not be started any more; the caller holds r.mu.
func (r *Run) releaseReserved() {
	for _, t := range r.reserved {
		r.w.release(t)
	}
	r.reserved = nil
}

// complete gives every result an outcome, and lets the judge complete answers.
func (r *Run) complete(ctx context.Context, t *muster.Target, res *muster.Result) {
	if ctx.Err() != nil && (res.Outcome == muster.Failed || res.Outcome == 0) {
		*res = muster.Result{
			Outcome: muster.Canceled, Started: res.Started, Timings: res.Timings,
			Address: res.Address, Sent: res.Sent,
		}
	}
	switch {
	case res.Outcome == 0:
		*res = res.Fail(muster.FailLocal, "the probe returned no outcome")
	case res.Outcome == muster.Canceled:
		res.Reason = causeOf(ctx)
	case r.eng.Judge != nil && !refusedHere(res):
		r.eng.Judge(t, res)
	}
}

// refusedHere reports that our own side refused the attempt before anything was sent: it says nothing of
// the target, and is tried again.
func refusedHere(res *muster.Result) bool {
	return res.Failure == muster.FailLocal && res.Transient && !res.Sent
}

// causeOf names why ctx ended, as results and the job's record say it.
func causeOf(ctx context.Context) string {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.Canceled) {
		return "canceled"
	}
	return cause.Error()
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
