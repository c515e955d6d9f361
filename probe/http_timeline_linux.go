package probe

import (
	"os"
	"time"
)

// timeline holds the flights that share one bound, in the order in which it passes: each joins at
// the end, since the bound is the same for all.
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

// add puts f at the end.
func (tl *timeline) add(l *eventLoop, f *flight) {
	from := f.began
	if tl.step {
		from = l.now()
	}
	n := f.link(tl.step)
	*n = link{in: tl, prev: tl.last, at: from + tl.after}
	if tl.last == nil {
		tl.first = f
	} else {
		tl.last.link(tl.step).next = f
	}
	tl.last = f
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
	for _, tl := range []*timeline{&l.total, &l.connecting, &l.waiting, &l.receiving} {
		for tl.first != nil && tl.first.link(tl.step).at <= now {
			l.failed(tl.first, os.ErrDeadlineExceeded)
		}
	}
}
