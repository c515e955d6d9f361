package probe

import (
	"context"
	"net/netip"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

const (
	// startBatch is how many targets are started in a row before answers are looked after.
	startBatch = 64
	// eventBatch is how many sockets are looked after in a row.
	eventBatch = 256
	// readsInRow is how many full buffers one socket may deliver in a row.
	readsInRow = 4
	// parkedPause is how long targets wait for a local resource before they are tried again.
	parkedPause = 5 * time.Millisecond
	// maxBatchBody is the largest request that goes through the loop: what a socket does not take at once is copied.
	maxBatchBody = 64 << 10
)

var _ muster.BatchProber = (*httpProber)(nil)

// Batchable reports whether the exchange with t is plain HTTP/1.1 to an address that is known without
// waiting. Of kept connections there are few addresses, and so few lookups for a loop to wait for aside.
func (p *httpProber) Batchable(t muster.Target) bool {
	if !p.lean || len(p.tail) > maxBatchBody || !p.url.isPath && p.url.text != nil {
		return false
	}
	u := &p.url.static
	https, host, addr, port := u.scheme == "https", u.host, u.addr, u.port
	if u.scheme == "" {
		scheme := t.Scheme
		if scheme == "" && p.scheme != nil {
			static, ok := p.scheme.Static()
			if !ok {
				return false
			}
			scheme = static
		}
		https, host, addr, port = scheme == "https", t.Host, t.Addr, t.Port
	}
	if https {
		return false
	}
	if addr.IsValid() {
		return true
	}
	if !isASCII(host) {
		return false
	}
	_, ok, _ := p.env.Dialer.ResolveCached(host, addr, max(port, 1))
	return ok || p.idle != nil
}

// ProbeBatch drives the targets of f over one epoll instance, on the calling goroutine. It reports
// each in f's own goroutine and returns when all are, or ctx ended.
func (p *httpProber) ProbeBatch(ctx context.Context, f muster.Feed) {
	l, err := newEventLoop(ctx, p, f)
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

// eventLoop is one run of ProbeBatch.
type eventLoop struct {
	p    *httpProber
	ctx  context.Context
	feed muster.Feed
	poll *poller
	born time.Time     // the loop's clock counts from here
	at   time.Duration // when it was last read

	flights  []*flight // by slot
	free     []*flight
	flying   int
	parked   []parked
	retryAt  time.Duration
	freed    bool   // a socket was closed since parked targets were tried
	turn     uint32 // counts how often the sockets were asked
	moreWork bool   // the feed may have more right now
	over     bool   // the feed has no more

	total, connecting, waiting, receiving timeline

	idle   map[netip.AddrPort]*flight // the one used last of each address
	idling timeline

	target muster.Target // the one that is being started
	req    request
	buf    []byte

	detours detours
}

// parked is a target that waits for a local resource. Waiting is no part of the attempt.
type parked struct {
	t     muster.Target
	since time.Time // zero if it has not waited
	again bool      // its kept connection was stale: the attempt began at since, and goes on over a fresh one
}

func newEventLoop(ctx context.Context, p *httpProber, f muster.Feed) (*eventLoop, error) {
	poll, err := newPoller(eventBatch)
	if err != nil {
		return nil, err
	}
	return &eventLoop{
		p: p, ctx: ctx, feed: f, poll: poll, born: time.Now(),
		buf:        make([]byte, largeBuffer),
		total:      timeline{after: p.env.Timeout},
		connecting: timeline{after: p.env.ConnectTimeout, step: true},
		waiting:    timeline{after: time.Duration(p.spec.HeaderTimeout), step: true},
		receiving:  timeline{after: time.Duration(p.spec.BodyTimeout), step: true},
		idling:     timeline{after: idleFor, step: true},
		idle:       map[netip.AddrPort]*flight{},
	}, nil
}

func (l *eventLoop) close() {
	for l.dropOldest() {
	}
	l.detours.away.Wait()
	l.poll.close()
}

// now reads the loop's clock.
func (l *eventLoop) now() time.Duration {
	l.at = time.Since(l.born)
	return l.at
}

func (l *eventLoop) run() {
	for {
		if l.ctx.Err() != nil {
			l.abort()
			return
		}
		l.admit()
		l.feed.Flush()
		if l.over && l.flying == 0 {
			return
		}
		l.turn++
		events := l.wait()
		for i := range events {
			l.handle(&events[i])
		}
		l.expire()
	}
}

// admit starts targets, parked ones first.
func (l *eventLoop) admit() {
	l.moreWork = false
	if len(l.parked) > 0 && !l.unpark() {
		return
	}
	if l.over {
		return
	}
	for range startBatch {
		t, ok, more := l.feed.Next()
		if !ok {
			l.over = !more
			return
		}
		l.flying++
		if !l.start(parked{t: t}) {
			return
		}
	}
	l.moreWork = true
}

// unpark tries the parked targets again and reports whether all could be started.
func (l *eventLoop) unpark() bool {
	if !l.freed && l.now() < l.retryAt {
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
func (l *eventLoop) wait() []syscall.EpollEvent {
	if l.moreWork {
		return l.poll.poll()
	}
	return l.poll.wait(l.sleep())
}

// sleep returns how long the loop may sleep; a negative time is for ever.
func (l *eventLoop) sleep() time.Duration {
	next := time.Duration(-1)
	for _, tl := range [...]*timeline{&l.total, &l.connecting, &l.waiting, &l.receiving, &l.idling} {
		if tl.first != nil && (next < 0 || tl.first.link(tl.step).at < next) {
			next = tl.first.link(tl.step).at
		}
	}
	if len(l.parked) > 0 && (next < 0 || l.retryAt < next) {
		next = l.retryAt
	}
	if next < 0 {
		return -1
	}
	return max(next-l.now(), 0)
}

// handle looks after one socket.
func (l *eventLoop) handle(ev *syscall.EpollEvent) {
	if ev.Fd < 0 {
		l.awoken()
		return
	}
	f := l.flights[ev.Fd]
	const ended = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	switch {
	case f.fd < 0:
		return // ended earlier in this turn
	case f.idle:
		if ev.Events&(syscall.EPOLLIN|ended) != 0 {
			l.drop(f)
		}
		return
	}
	if f.phase == dial.PhaseConnect {
		l.connected(f, ev.Events)
		return
	}
	if ev.Events&(syscall.EPOLLIN|ended) != 0 && l.read(f, ev.Events&ended != 0) {
		return
	}
	if len(f.out) > 0 && ev.Events&syscall.EPOLLOUT != 0 {
		l.writeRest(f)
	}
}

// awoken takes note of the wake and reports what came back from goroutines.
func (l *eventLoop) awoken() {
	l.poll.rest()
	for _, d := range l.detours.take() {
		l.flying--
		l.feed.Done(d.t, d.r)
	}
}

// abort ends everything in flight because the context has ended.
func (l *eventLoop) abort() {
	l.now()
	for _, f := range l.flights {
		if f.fd >= 0 && !f.idle {
			cancel(l.ctx, &f.r)
			l.end(f)
		}
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
