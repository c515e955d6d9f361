package probe

import (
	"os"
	"time"
)

// timeline holds the flights that share one bound, in the order in which it passes: each joins at
// or near the end, since the bound is the same for all.
type timeline struct {
	after       time.Duration
	step        bool // the bound is on a phase, not on the whole attempt
	first, last *flight
}

// link is a flight's place in a timeline.
type link struct {
	in         *timeline
	prev, next *flight
	at         time.Duration // on the loop's clock
}

// link returns the flight's place in a timeline of phases, or in that of attempts.
func (f *flight) link(step bool) *link {
	if step {
		return &f.part
	}
	return &f.whole
}

// add puts f, whose time counts from the given moment, at the end, or before those that began after it.
func (tl *timeline) add(f *flight, from time.Duration) {
	at := from + tl.after
	prev, next := tl.last, (*flight)(nil)
	for prev != nil && prev.link(tl.step).at > at {
		prev, next = prev.link(tl.step).prev, prev
	}
	*f.link(tl.step) = link{in: tl, prev: prev, next: next, at: at}
	if prev == nil {
		tl.first = f
	} else {
		prev.link(tl.step).next = f
	}
	if next == nil {
		tl.last = f
	} else {
		next.link(tl.step).prev = f
	}
}

// remove takes f out, when it is in.
func (tl *timeline) remove(f *flight) {
	n := f.link(tl.step)
	if n.in != tl {
		return
	}
	if n.prev == nil {
		tl.first = n.next
	} else {
		n.prev.link(tl.step).next = n.next
	}
	if n.next == nil {
		tl.last = n.prev
	} else {
		n.next.link(tl.step).prev = n.prev
	}
	*n = link{}
}

// expire ends the flights whose time is up.
func (l *eventLoop) expire() {
	now := l.now()
	for _, tl := range [...]*timeline{&l.total, &l.connecting, &l.waiting, &l.receiving} {
		for tl.first != nil && tl.first.link(tl.step).at <= now {
			l.failed(tl.first, os.ErrDeadlineExceeded)
		}
	}
	for l.idling.first != nil && l.idling.first.part.at <= now {
		l.dropOldest()
	}
}
