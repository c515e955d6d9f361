package fanout

import (
	"math"
	"time"

	"github.com/musterhq/muster"
)

// verdict is what the window says to whoever asks for work.
type verdict uint8

const (
	start    verdict = iota // a target may start
	wait                    // not now; see window.wakeAt and window.blocked
	finished                // no target will ever start again
)

// maxPending bounds the results that nobody has taken yet. Beyond it nothing new starts, so
// that a slow store slows the job instead of filling the memory.
const (
	maxPending      = 8192
	maxPendingBytes = 64 << 20
)

// bounceLimit is how long our own side may refuse every attempt before the targets it refuses end as
// local failures: a little longer than the minute for which TCP keeps a used port back.
const bounceLimit = 75 * time.Second

// window decides which target starts when. It is a state machine without
// goroutines or clocks; its owner serialises the calls.
type window struct {
	plan   muster.Plan
	list   muster.List
	never  bool
	order  order
	budget budget
	caps   caps
	stages stages
	pace   pacer
	limit  limiter

	inflight int
	exposed  int // in flight, or started once and waiting to start again
	retries  retryHeap
	parked   parking
	tries    map[int]tries // of targets under way that have been tried before
	reached  time.Time     // when an attempt last got past our own side
	ledger   muster.Ledger
	paused   bool
	stop     string          // why nothing new starts; "" while it does
	state    muster.JobState // the final state that stop leads to
	pending  []muster.Result // ended and not yet taken
	bytes    int             // of the bodies in pending
	blocked  string          // what kept the last request from starting
	wakeAt   time.Time       // when a timer may unblock it; zero is none
	tick     tickCounts
}

// tickCounts collects the limiter's signals between two ticks.
type tickCounts struct {
	ended, timeouts, pushbacks, local int
	localWhy                          string
	full, backlog                     bool
	bytes                             int
	latency                           reservoir
}

func newWindow(p muster.Plan, list muster.List) *window {
	n := list.Len()
	w := &window{
		plan: p, list: list, never: p.Repeat == muster.RepeatNever,
		order: newOrder(&p, n), budget: newBudget(&p, n), caps: newCaps(&p),
		pace: newPacer(p.Rate), limit: newLimiter(p.Fanout, p.FanoutFixed),
		tries: map[int]tries{}, ledger: muster.Ledger{Targets: n},
	}
	w.stages = newStages(&p, n, w.order.canary)
	return w
}

// next returns a target to start now.
func (w *window) next(now time.Time) (muster.Target, verdict) {
	w.wakeAt = time.Time{}
	if v := w.gate(now); v != start {
		return muster.Target{}, v
	}
	t, ok := w.candidate(now)
	if !ok {
		if w.idle() && w.blocked == "" {
			return muster.Target{}, finished
		}
		return muster.Target{}, wait
	}
	w.blocked = ""
	w.inflight++
	w.caps.take(&t)
	w.pace.take(now)
	return t, start
}

// gate checks what holds for any target alike.
func (w *window) gate(now time.Time) verdict {
	w.blocked = ""
	switch {
	case w.stop != "", w.idle():
		w.blocked = w.stop
		return finished
	case w.paused:
		w.blocked = "paused"
	case len(w.pending) >= maxPending || w.bytes >= maxPendingBytes:
		w.blocked, w.tick.backlog = "store", true
	case w.inflight >= w.limit.allowed():
		w.blocked, w.tick.full = w.limit.reason, true
	default:
		if d := w.pace.wait(now); d > 0 {
			w.blocked = "rate"
			w.wake(now.Add(d))
		}
	}
	if w.blocked != "" {
		return wait
	}
	return start
}

// candidate returns the target to take: one due for its retry, one that a cap had
// held back, else the next of the list.
func (w *window) candidate(now time.Time) (muster.Target, bool) {
	if t, ok := w.dueRetry(now); ok {
		return t, true
	}
	if w.exposed >= w.budget.room() {
		w.blocked = "error budget"
		return muster.Target{}, false
	}
	if t, ok := w.unpark(); ok {
		return t, true
	}
	return w.fresh()
}

func (w *window) dueRetry(now time.Time) (muster.Target, bool) {
	if len(w.retries) == 0 {
		return muster.Target{}, false
	}
	head := &w.retries[0]
	if head.due.After(now) {
		w.wake(head.due)
		return muster.Target{}, false
	}
	if key := w.caps.blocked(&head.t); key != "" {
		w.blocked = capName(key)
		return muster.Target{}, false
	}
	r := w.retries.pop()
	w.tries[r.t.Index] = r.tries
	return r.t, true
}

// unpark takes a target whose cap has room again. Parked targets belong to the present
// stage and count as started there.
func (w *window) unpark() (muster.Target, bool) {
	for {
		t, ok := w.parked.pop()
		if !ok {
			return muster.Target{}, false
		}
		if key := w.caps.blocked(&t); key != "" {
			w.parked.push(key, t)
			continue
		}
		w.exposed++
		return t, true
	}
}

// fresh takes the next target of the list that can be sent. Defective and
// switched-off rows end here; rows whose cap is full are parked.
func (w *window) fresh() (muster.Target, bool) {
	for w.parked.n < maxParked && len(w.pending) < maxPending {
		if why := w.stages.blocked(); why != "" {
			w.blocked = why
			return muster.Target{}, false
		}
		i, ok := w.order.next()
		if !ok {
			break
		}
		t, err := w.list.At(i)
		t.Index = i
		if err != nil {
			w.skip(t, muster.Result{Outcome: muster.Invalid, Reason: "invalid target", Detail: err.Error()})
			continue
		}
		if t.Off {
			w.skip(t, muster.Result{Outcome: muster.NotAttempted, Reason: "switched off"})
			continue
		}
		w.stages.start()
		if key := w.caps.blocked(&t); key != "" {
			w.parked.push(key, t)
			continue
		}
		w.exposed++
		return t, true
	}
	if w.parked.n > 0 {
		w.blocked = w.parked.why()
	}
	return muster.Target{}, false
}

func (w *window) skip(t muster.Target, r muster.Result) {
	r.Index, r.Target = t.Index, t.ID
	w.emit(r)
	w.stages.skip()
}

// idle reports whether nothing is under way, waiting or left.
func (w *window) idle() bool {
	return w.inflight == 0 && len(w.retries) == 0 && w.parked.n == 0 && w.order.done()
}

func (w *window) wake(at time.Time) {
	if w.wakeAt.IsZero() || at.Before(w.wakeAt) {
		w.wakeAt = at
	}
}

// done takes the end of an attempt.
func (w *window) done(now time.Time, t muster.Target, r muster.Result) {
	w.inflight--
	w.free(&t)
	r.Index, r.Target = t.Index, t.ID
	tr, tried := w.tries[t.Index]
	if tried {
		delete(w.tries, t.Index)
	}
	w.count(&r)
	if w.bounced(now, t, r, tr) {
		return
	}
	tr.attempts++
	r.Attempts = tr.attempts
	if w.retried(now, t, r, tr) {
		return
	}
	w.end(r)
}

// count feeds the limiter's signals.
func (w *window) count(r *muster.Result) {
	c := &w.tick
	c.ended++
	c.bytes += len(r.Body)
	c.latency.add(r.Timings.Total)
	if r.Pushback {
		c.pushbacks++
	}
	if r.Failure == muster.FailTimeout || r.Failure == muster.FailConnectTimeout {
		c.timeouts++
	}
}

// bounced sends a target round again that our own side refused before anything was
// sent: lack of descriptors or ports is a reason to wait, not the target's failure.
func (w *window) bounced(now time.Time, t muster.Target, r muster.Result, tr tries) bool {
	if r.Failure != muster.FailLocal || !r.Transient || r.Sent {
		w.reached = now
		return false
	}
	w.tick.local++
	w.tick.localWhy = r.Reason
	if tr.bounces == 0 {
		tr.first = now
	}
	tr.bounces++
	if now.Sub(tr.first) > bounceLimit && now.Sub(w.reached) > bounceLimit {
		return false
	}
	if w.stop != "" {
		w.endUnsent(t, r, tr)
		return true
	}
	w.retries.push(waiting{due: now.Add(bounceBackoff(tr.bounces)), t: t, last: r, tries: tr})
	return true
}

// retried sends a target round again whose failure the probe calls transient.
func (w *window) retried(now time.Time, t muster.Target, r muster.Result, tr tries) bool {
	if !r.Transient || r.Outcome == muster.OK || r.Outcome == muster.Canceled ||
		tr.attempts > w.plan.Retries || w.never && r.Sent || w.stop != "" {
		return false
	}
	tr.bounces = 0
	pause := backoff(time.Duration(w.plan.Backoff), tr.attempts)
	w.retries.push(waiting{due: now.Add(pause), t: t, last: r, tries: tr})
	return true
}

// end reports a started target's final result.
func (w *window) end(r muster.Result) {
	w.exposed--
	spends := r.Outcome.Spends()
	if spends {
		w.budget.failures++
	}
	inCanary := w.stages.inCan
	w.stages.end(spends)
	w.emit(r)
	switch {
	case w.stop != "":
	case inCanary && w.stages.fails > w.plan.CanaryMaxErrors:
		w.halt("canary", muster.StateStopped)
	case w.budget.spent():
		w.halt("error budget", muster.StateStopped)
	}
}

func (w *window) emit(r muster.Result) {
	w.ledger.Add(&r)
	w.bytes += len(r.Body)
	w.pending = append(w.pending, r)
}

// halt stops new starts for good. What waits for a retry ends with its last
// result; what is under way goes on.
func (w *window) halt(why string, state muster.JobState) {
	if w.stop != "" {
		return
	}
	w.stop, w.state = why, state
	waiting := w.retries
	w.retries = nil
	for _, r := range waiting {
		w.endUnsent(r.t, r.last, r.tries)
	}
}

// endUnsent ends a target that waited when the window halted: with its last result,
// or as not attempted when none of its attempts reached the network.
func (w *window) endUnsent(t muster.Target, last muster.Result, tr tries) {
	if tr.attempts == 0 {
		last = muster.Result{Index: t.Index, Target: t.ID, Outcome: muster.NotAttempted, Reason: w.stop}
	}
	last.Attempts = tr.attempts
	w.end(last)
}

// release ends a target that was taken and never sent.
func (w *window) release(t muster.Target, reason string) {
	w.inflight--
	w.free(&t)
	w.end(muster.Result{Index: t.Index, Target: t.ID, Outcome: muster.NotAttempted, Reason: reason})
}

func (w *window) free(t *muster.Target) {
	w.caps.give(t)
	w.parked.freed(&w.caps, t)
}

// sweep reports, in portions, the targets that never started once the window has
// halted. more is false when all have been reported.
func (w *window) sweep(portion int) (more bool) {
	for t := range w.parked.drain {
		w.notAttempted(t)
	}
	for range portion {
		i, ok := w.order.next()
		if !ok {
			return false
		}
		t, err := w.list.At(i)
		t.Index = i
		if err != nil {
			w.emit(muster.Result{Index: i, Target: t.ID, Outcome: muster.Invalid, Reason: "invalid target", Detail: err.Error()})
			continue
		}
		w.notAttempted(t)
	}
	return true
}

func (w *window) notAttempted(t muster.Target) {
	reason := w.stop
	if t.Off {
		reason = "switched off"
	}
	w.emit(muster.Result{Index: t.Index, Target: t.ID, Outcome: muster.NotAttempted, Reason: reason})
}

// adapt runs the limiter on what was measured since the last tick.
func (w *window) adapt(s signals) {
	c := &w.tick
	s.ended, s.timeouts, s.pushbacks, s.local, s.localWhy = c.ended, c.timeouts, c.pushbacks, c.local, c.localWhy
	s.full, s.backlog, s.median = c.full, c.backlog, c.latency.median()
	if c.ended > 0 {
		s.meanBytes = math.Max(float64(c.bytes)/float64(c.ended), 1)
	}
	w.limit.tick(s)
	*c = tickCounts{}
}
