package probe

import (
	"context"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// packetParked is a target that waits for a descriptor, first come, first served. Waiting is no part of the attempt.
type packetParked struct {
	t     muster.Target
	r     muster.Result
	since time.Duration // when there was last something whose end could be waited for
}

// shortagePatience is how long a loop waits for a socket of its own while it holds the descriptors of its poller.
const shortagePatience = 500 * time.Millisecond

// returnable is a feed that takes targets back.
type returnable struct {
	muster.Feed
	held     []muster.Target
	patience time.Duration // with a loop that has no socket
}

func (f *returnable) Next() (t muster.Target, ok, more bool) {
	if len(f.held) == 0 {
		return f.Feed.Next()
	}
	t, f.held = f.held[0], f.held[1:]
	return t, true, true
}

// probeBatch drives the targets of f over a loop, or one by one when there are not the descriptors for that.
func probeBatch(ctx context.Context, p interface {
	packetKind
	muster.Prober
}, f muster.Feed,
) {
	again := &returnable{Feed: f, patience: shortagePatience}
	if probePackets(ctx, p, again) != nil {
		probeAside(ctx, p, again)
	}
}

// unpark starts the parked targets, as far as there are descriptors.
func (l *packetLoop) unpark() {
	if !l.freed && l.now() < l.retryAt {
		return
	}
	l.freed = false
	for len(l.parked) > 0 {
		w := &l.parked[0]
		err := l.launch(w.t, w.r)
		if err != nil && l.yield() {
			err = l.launch(w.t, w.r)
		}
		if err == nil {
			l.unqueue()
		} else if l.stalled(err) {
			return
		}
	}
}

// stalled has the first of the parked wait, for which there is no socket, and reports true; or ends it when that
// cannot help. A loop that waits in vain gives up.
func (l *packetLoop) stalled(err error) bool {
	w, now := &l.parked[0], l.now()
	if l.flying > len(l.parked) {
		w.since = now
	}
	t, r := w.t, w.r
	failIn(&r, err, dial.PhaseConnect)
	if isStarved(&r) {
		l.retryAt = now + parkedPause
		if now-w.since >= l.feed.patience {
			l.shortage = err
		}
		return true
	}
	l.unqueue()
	l.report(t, r)
	return false
}

// giveUp returns the targets that wait to the feed; nothing else is under way.
func (l *packetLoop) giveUp() {
	for _, w := range l.parked {
		l.feed.held = append(l.feed.held, w.t)
	}
	l.feed.Flush()
}

// scarce is a number of sockets so small that those of the loops count.
const scarce = 16

// wanted makes note that somebody found no descriptor.
func (l *packetLoop) wanted() bool {
	l.short.Store(true)
	l.poll.wake()
	return false
}

// oblige gives the shared sockets back that somebody else may want, as soon as nothing is under way over them. It
// reports whether that is to be waited for.
func (l *packetLoop) oblige() bool {
	if !l.short.Load() {
		return false
	}
	if l.used == 0 {
		l.short.Store(false)
		l.yield()
		return false
	}
	n, _ := l.setup.dialer.Headroom(0)
	return n <= scarce && (l.socks[0].fd >= 0 || l.socks[1].fd >= 0)
}

// unqueue takes the first of the parked out.
func (l *packetLoop) unqueue() {
	l.parked[0] = packetParked{}
	l.parked = l.parked[1:]
}

// yield closes the shared sockets when nothing is under way over them, and reports whether there were any.
func (l *packetLoop) yield() (some bool) {
	if l.used > 0 {
		return false
	}
	for i := range l.socks {
		if s := &l.socks[i]; s.fd >= 0 {
			l.setup.dialer.Close(s.fd)
			*s, some = packetSocket{family: s.family, fd: -1}, true
		}
	}
	return some
}

// packetMemory remembers of the addresses that were spoken to last for which target that was. A datagram without a key may
// be a late or second reply to another target's: such a target gets a socket of its own.
type packetMemory struct {
	seed  maphash.Seed
	slots [1 << 18]packetMemo
}

// packetMemo is what is remembered of one address; the zero value is nothing.
type packetMemo struct {
	peer uint32 // a part of its hash
	mark uint32 // of the target, not 0
}

// claim notes that the target with the index speaks to peer, and reports false when another one did so before.
func (m *packetMemory) claim(peer netip.AddrPort, index int) bool {
	h := maphash.Comparable(m.seed, peer)
	slot, memo := &m.slots[h%uint64(len(m.slots))], packetMemo{peer: uint32(h >> 32), mark: uint32(index) + 1}
	if slot.mark != 0 && slot.peer == memo.peer {
		return slot.mark == memo.mark
	}
	*slot = memo
	return true
}
