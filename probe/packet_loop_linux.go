package probe

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
)

const (
	// packetKeys is how many keys there are. Half as many targets at most are under way, so that a free one is found by chance.
	packetKeys = 1 << 16
	// packetTurn is how many targets are started in a row before answers are looked after.
	packetTurn = packetBatch
	// packetRounds is how many full batches of one socket are taken in a row.
	packetRounds = 8
	// maxBehind is for how many turns timers wait while a socket delivers more than that.
	maxBehind = 16
)

// packetLoop drives many exchanges by datagrams over one socket per address family, on one goroutine.
type packetLoop struct {
	kind  packetKind
	setup packetSetup
	wire  packetWire
	ctx   context.Context
	feed  *returnable
	poll  *poller
	born  time.Time // the loop's clock counts from here

	socks   [2]packetSocket // IPv4, IPv6
	in      *packetBuffers
	out     []byte // the datagram that is being sent
	room    []byte // what stands before its payload, as zeros
	flying  int
	used    int                              // keys
	keys    [packetKeys]*packetFlight        // by key
	peers   map[netip.AddrPort]*packetFlight // the newest by address; without those of protocols without ports
	memory  *packetMemory                    // of protocols whose datagrams bear no key
	free    []*packetFlight
	wheel   packetWheel
	behind  int  // turns since timers were looked after
	more    bool // the feed may have more right now
	over    bool // the feed has no more
	arrival arrival
	quotes  uint32        // datagrams of ours that came back through error queues
	strays  uint32        // datagrams that concern no exchange
	target  muster.Target // the one that is being started

	atOnce   context.Context // has ended, for what must not wait
	parked   []packetParked
	retryAt  time.Duration
	shortage error       // why the loop gives up
	short    atomic.Bool // somebody wants a descriptor
	freed    bool        // somebody came back from a goroutine since parked targets were tried

	away  sync.WaitGroup
	mu    sync.Mutex
	ended []packetAway // guarded by mu
}

// probePackets drives the targets of f over a packetLoop on the calling goroutine. An error is of a lack of descriptors: f
// has the rest of its targets then.
func probePackets(ctx context.Context, k packetKind, f *returnable) error {
	p, err := newPoller(4)
	if err != nil {
		return err
	}
	setup := k.setup()
	l := &packetLoop{
		kind: k, setup: setup, wire: k.wire(), ctx: ctx, feed: f, poll: p, born: time.Now(),
		socks: [2]packetSocket{{family: 4, fd: -1}, {family: 6, fd: -1}}, in: newReceiving(setup.largest),
		peers: map[netip.AddrPort]*packetFlight{},
	}
	l.room = make([]byte, l.wire.room())
	if !setup.keyed {
		l.memory = &packetMemory{seed: maphash.MakeSeed()}
	}
	var done context.CancelFunc
	l.atOnce, done = context.WithDeadline(context.WithoutCancel(ctx), l.born)
	defer done()
	defer l.close()
	f.Notify(p.wake)
	stop := context.AfterFunc(ctx, p.wake)
	defer stop()
	defer setup.dialer.Reclaim(l.wanted)()
	l.run()
	return l.shortage
}

func (l *packetLoop) close() {
	l.away.Wait()
	for i := range l.socks {
		if s := &l.socks[i]; s.fd >= 0 {
			l.setup.dialer.Close(s.fd)
		}
	}
	l.poll.close()
}

func (l *packetLoop) now() time.Duration { return time.Since(l.born) }

func (l *packetLoop) run() {
	for {
		if l.ctx.Err() != nil {
			l.abort()
			return
		}
		l.admit()
		if l.shortage != nil {
			l.giveUp()
			return
		}
		for i := range l.socks {
			l.send(&l.socks[i])
		}
		l.feed.Flush()
		if l.over && l.flying == 0 {
			return
		}
		// What has come by now is taken before anybody's time is over: a loop that was held up must not take
		// that for silence.
		at := l.now()
		if l.behind++; l.look() || l.behind >= maxBehind {
			l.behind = 0
			l.wheel.advance(at, l.expired)
		}
	}
}

// admit starts targets as long as there are keys and the sockets take what is sent, parked ones first.
func (l *packetLoop) admit() {
	l.more = false
	if l.unpark(); l.shortage != nil || l.oblige() {
		return
	}
	if len(l.parked) > 0 || l.over || l.flying >= packetKeys/2 {
		return
	}
	if now := l.now(); !l.socks[0].takes(now) || !l.socks[1].takes(now) {
		return
	}
	for range packetTurn {
		t, ok, more := l.feed.Next()
		if !ok {
			l.over = !more
			return
		}
		l.flying++
		if l.start(t); len(l.parked) > 0 {
			return
		}
	}
	l.more = true
}

// look waits until there is something to do, and does what the sockets ask for. It reports whether all that has come
// was taken.
func (l *packetLoop) look() bool {
	drained := true
	for _, ev := range l.poll.wait(l.sleep()) {
		if ev.Fd < 0 {
			l.poll.rest()
			l.awoken()
			continue
		}
		s := &l.socks[ev.Fd]
		if ev.Events&unix.EPOLLOUT != 0 {
			s.watch(l.poll, false)
		}
		if ev.Events&unix.EPOLLERR != 0 {
			l.receive(s, unix.MSG_ERRQUEUE)
		}
		if ev.Events&(unix.EPOLLIN|unix.EPOLLERR) != 0 {
			drained = l.receive(s, 0) && drained
		}
	}
	return drained
}

// sleep returns how long the loop may wait; 0 is not at all, a negative time for ever.
func (l *packetLoop) sleep() time.Duration {
	if l.more {
		return 0
	}
	at, ok := l.wheel.next()
	sooner := func(due time.Duration) {
		if !ok || due < at {
			at, ok = due, true
		}
	}
	for i := range l.socks {
		if s := &l.socks[i]; s.waiting() > 0 && !s.full {
			sooner(s.after)
		}
	}
	if len(l.parked) > 0 {
		sooner(l.retryAt)
	}
	if !ok {
		return -1
	}
	return max(0, at-l.now())
}

// abort ends everything in flight because the context has ended.
func (l *packetLoop) abort() {
	for i := range l.socks {
		l.socks[i].forget()
	}
	for _, f := range l.keys {
		if f != nil {
			cancel(l.ctx, &f.r)
			l.end(f)
		}
	}
	l.away.Wait()
	l.awoken()
	for _, w := range l.parked {
		cancel(l.ctx, &w.r)
		l.report(w.t, w.r)
	}
	l.parked = nil
	l.feed.Flush()
}
