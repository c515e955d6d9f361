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
	retries  waitroom
	parked   parking[muster.Target]
	again    map[int]waiting // targets under way that have been tried before, as they waited
	reached  time.Time       // when an attempt last got past our own side
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
		again: map[int]waiting{}, ledger: muster.Ledger{Targets: n},
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
	if t, ok := w.retry(now); ok {
		return t, true
	}
	switch {
	case w.exposed >= w.budget.room():
		w.blocked = "error budget"
		return muster.Target{}, false
	case w.retries.full():
		w.blocked = "retries"
		return muster.Target{}, false
	}
	if t, ok := w.unpark(); ok {
		return t, true
	}
	return w.fresh()
}

func (w *window) retry(now time.Time) (muster.Target, bool) {
	r, ok, due := w.retries.take(now, &w.caps)
	if !ok {
		if !due.IsZero() {
			w.wake(due)
		}
		return muster.Target{}, false
	}
	w.again[r.t.Index] = r
	return r.t, true
}

// unpark takes a target whose cap has room again. Parked targets belong to the present
// stage and count as started there.
func (w *window) unpark() (muster.Target, bool) {
	for from, t, ok := w.parked.pop(); ok; from, t, ok = w.parked.pop() {
		if key := w.caps.blocked(&t); key != (capKey{}) {
			w.parked.repark(from, key, t)
			continue
		}
		w.exposed++
		return t, true
	}
	return muster.Target{}, false
}

// fresh takes the next target of the list that can be sent. Defective and
// switched-off rows end here; rows whose cap is full are parked.
func (w *window) fresh() (muster.Target, bool) {
	for !w.parked.full && len(w.pending) < maxPending {
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
		if key := w.caps.blocked(&t); key != (capKey{}) {
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

// mayStart reports whether another target might start besides the one that next has just returned: if not, only the
// end of an attempt, a timer or a change of the limit can make one.
func (w *window) mayStart() bool {
	return w.inflight < w.limit.allowed() &&
		(w.retries.len() > 0 || len(w.parked.ready) > 0 || !w.parked.full && !w.order.done())
}

func (w *window) skip(t muster.Target, r muster.Result) {
	r.Index, r.Target = t.Index, t.ID
	w.emit(r)
	w.stages.skip()
}

// idle reports whether nothing is under way, waiting or left.
func (w *window) idle() bool {
	return w.inflight == 0 && w.retries.len() == 0 && w.parked.n == 0 && w.order.done()
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
	tr := w.before(t.Index).tries
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

func (w *window) free(t *muster.Target) {
	w.caps.give(t)
	w.parked.freed(&w.caps, t)
	w.retries.held.freed(&w.caps, t)
}

// before returns how a target that is under way had waited, and forgets it; zero at its first attempt.
func (w *window) before(index int) waiting {
	was, ok := w.again[index]
	if ok {
		delete(w.again, index)
	}
	return was
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
	if !refusedHere(&r) {
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
	w.stages.end(spends, r.Outcome != muster.Denied && r.Outcome != muster.Invalid)
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
