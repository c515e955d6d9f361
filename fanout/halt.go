package fanout

import "github.com/musterhq/muster"

// halt stops new starts for good. What waits for a retry ends with its last
// result; what is under way goes on.
func (w *window) halt(why string, state muster.JobState) {
	if w.stop != "" {
		return
	}
	w.stop, w.state = why, state
	for r := range w.retries.drain {
		w.endUnsent(r.t, r.last, r.tries)
	}
}

// cut halts from outside, by a drain, a cancel or the deadline. A job that has gone through all its
// targets is done: what comes after does not change that.
func (w *window) cut(why string, state muster.JobState) {
	if !w.ledger.Closed() {
		w.halt(why, state)
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

// release ends a target that was taken and, this time, not sent, after the window has halted.
func (w *window) release(t muster.Target) {
	w.inflight--
	w.free(&t)
	was := w.before(t.Index)
	w.endUnsent(t, was.last, was.tries)
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
