package fanout

import (
	"sync/atomic"
	"time"

	"github.com/musterhq/muster"
)

// loop is the feed of one event loop.
type loop struct {
	run    *Run
	gov    *governor
	ended  bool          // an exchange has ended since the last Flush; the loop's goroutine alone uses it
	last   verdict       // what the last Next was told; likewise
	target muster.Target // what Done works on, so that it need not be allocated; likewise
	result muster.Result
	notify atomic.Pointer[func()]
}

var _ muster.Feed = (*loop)(nil)

// Next hands out the next target that fits the event loop; others go to a goroutine.
func (l *loop) Next() (t muster.Target, ok, more bool) {
	now := time.Now()
	for {
		t, v := l.run.take(now)
		l.last = v
		switch {
		case v == finished:
			return t, false, false
		case v == wait:
			return t, false, true
		case l.gov.batch.Batchable(t):
			return t, true, true
		}
		l.gov.spawnOne(t)
	}
}

// Done reports the end of one exchange.
func (l *loop) Done(t muster.Target, res muster.Result) {
	l.ended = true
	l.target, l.result = t, res
	l.run.complete(l.gov.ctx, &l.target, &l.result)
	l.run.mu.Lock()
	l.run.w.done(time.Now(), t, l.result)
	l.run.mu.Unlock()
	l.target, l.result = muster.Target{}, muster.Result{}
}

// Flush lets the others see what this turn of the loop has done. A turn that ended
// nothing wakes nobody, or two idle loops would keep each other awake. What the ends made room for
// this loop takes itself; others are told if it was left with room to spare.
func (l *loop) Flush() {
	if !l.ended {
		return
	}
	l.ended = false
	l.run.mu.Lock()
	l.run.settle(l.last)
	l.run.mu.Unlock()
	l.last = start // a turn that asks for nothing must not be taken for one that was refused
}

// Notify registers how to wake the loop.
func (l *loop) Notify(wake func()) {
	l.notify.Store(&wake)
}

func (l *loop) wake() {
	if f := l.notify.Load(); f != nil {
		(*f)()
	}
}
