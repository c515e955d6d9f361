package probe

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// tcpSweep is a [TCP] that only connects: many at once over one epoll instance.
type tcpSweep struct{ *tcpProber }

var _ muster.BatchProber = tcpSweep{}

// swept returns p with an event loop, when its exchange is a connect alone.
func (p *tcpProber) swept() muster.Prober {
	if p.spec.connectOnly() && !p.spec.Secure {
		return tcpSweep{p}
	}
	return p
}

// Batchable reports whether t's address is known without waiting.
func (p tcpSweep) Batchable(t muster.Target) bool {
	if t.Addr.IsValid() {
		return true
	}
	_, known, _ := p.env.Dialer.ResolveCached(t.Host, t.Addr, max(t.Port, 1))
	return known
}

// ProbeBatch connects to the targets of f on the calling goroutine. It returns when all are reported, or
// ctx ended.
func (p tcpSweep) ProbeBatch(ctx context.Context, f muster.Feed) {
	l, err := newSweepLoop(ctx, p.tcpProber, f)
	if err != nil {
		probeAside(ctx, p, f)
		return
	}
	defer l.close()
	f.Notify(l.poll.wake)
	stop := context.AfterFunc(ctx, l.poll.wake)
	defer stop()
	l.run()
}

// sweepLoop is one run of ProbeBatch.
type sweepLoop struct {
	p     *tcpProber
	ctx   context.Context
	feed  muster.Feed
	poll  *poller
	bound time.Duration // of a connect

	flights     []*sweepFlight // by slot
	free        []*sweepFlight
	first, last *sweepFlight // those under way, in the order in which their time is up
	flying      int
	parked      []sweepParked
	retryAt     time.Time
	freed       bool // a socket was closed since parked targets were tried
	moreWork    bool // the feed may have more right now
	over        bool // the feed has no more
	detours     detours
}

// sweepFlight is one connect under way. It is reused.
type sweepFlight struct {
	slot       int32
	fd         int // -1 while unused
	t          muster.Target
	r          muster.Result
	prev, next *sweepFlight
}

// sweepParked is a target that waits for a local resource. Waiting is no part of the attempt.
type sweepParked struct {
	t     muster.Target
	since time.Time // zero if it has not waited
}

func newSweepLoop(ctx context.Context, p *tcpProber, f muster.Feed) (*sweepLoop, error) {
	poll, err := newPoller(eventBatch)
	if err != nil {
		return nil, err
	}
	return &sweepLoop{p: p, ctx: ctx, feed: f, poll: poll, bound: min(p.env.ConnectTimeout, p.env.Timeout)}, nil
}

func (l *sweepLoop) close() {
	l.detours.away.Wait()
	l.poll.close()
}

func (l *sweepLoop) run() {
	for l.ctx.Err() == nil {
		l.admit()
		l.feed.Flush()
		if l.over && l.flying == 0 {
			return
		}
		for _, ev := range l.wait() {
			if ev.Fd < 0 {
				l.awoken()
			} else if f := l.flights[ev.Fd]; f.fd >= 0 {
				l.connected(f, ev.Events)
			}
		}
		l.expire()
	}
	l.abort()
}

// admit starts targets, parked ones first.
func (l *sweepLoop) admit() {
	l.moreWork = false
	if len(l.parked) > 0 && !l.unpark() || l.over {
		return
	}
	for range startBatch {
		t, ok, more := l.feed.Next()
		if !ok {
			l.over = !more
			return
		}
		l.flying++
		if !l.start(sweepParked{t: t}) {
			return
		}
	}
	l.moreWork = true
}

// unpark tries the parked targets again and reports whether all could be started.
func (l *sweepLoop) unpark() bool {
	if !l.freed && time.Now().Before(l.retryAt) {
		return false
	}
	l.freed = false
	waiting := l.parked
	l.parked = nil
	for i, w := range waiting {
		if !l.start(w) {
			l.parked = append(l.parked, waiting[i+1:]...)
			return false
		}
	}
	return true
}

// wait returns what the sockets need. It sleeps only when nothing else can be done.
func (l *sweepLoop) wait() []syscall.EpollEvent {
	if l.moreWork {
		return l.poll.poll()
	}
	return l.poll.wait(l.sleep())
}

// sleep returns how long the loop may sleep; a negative time is for ever.
func (l *sweepLoop) sleep() time.Duration {
	var next time.Time
	if l.first != nil {
		next = l.first.r.Started.Add(l.bound)
	}
	if len(l.parked) > 0 && (next.IsZero() || l.retryAt.Before(next)) {
		next = l.retryAt
	}
	if next.IsZero() {
		return -1
	}
	return max(time.Until(next), 0)
}

// awoken takes note of the wake and reports what came back from goroutines.
func (l *sweepLoop) awoken() {
	l.poll.rest()
	for _, d := range l.detours.take() {
		l.flying--
		l.feed.Done(d.t, d.r)
	}
}

// expire ends the connects whose time is up.
func (l *sweepLoop) expire() {
	if l.first == nil {
		return
	}
	at := time.Now()
	for l.first != nil && at.Sub(l.first.r.Started) >= l.bound {
		l.end(l.first, os.ErrDeadlineExceeded)
	}
}

// abort ends everything in flight because the context has ended.
func (l *sweepLoop) abort() {
	for l.first != nil {
		f := l.first
		cancel(l.ctx, &f.r)
		l.leave(f)
	}
	for _, w := range l.parked {
		r := muster.Result{Started: w.since}
		cancel(l.ctx, &r)
		l.flying--
		l.feed.Done(w.t, r)
	}
	l.parked = nil
	l.detours.away.Wait()
	l.awoken()
	l.feed.Flush()
}

// end makes f's connect the failure that err is.
func (l *sweepLoop) end(f *sweepFlight, err error) {
	failIn(&f.r, err, dial.PhaseConnect)
	l.leave(f)
}
