package dial

import (
	"context"
	"sync"
	"time"
)

// Budget counts the sockets that may be open at once. The zero value allows what the process's
// descriptor limit leaves at the first use, less a reserve. Dialers of one process should share one. It is safe for
// concurrent use and must not be copied after first use.
type Budget struct {
	// Limit is the number of sockets; 0 is the descriptor limit, less the descriptors
	// open at the first use, less Reserve.
	Limit int
	// Reserve is what is left for files, listeners and name servers; 0 is DefaultReserve, but at
	// most half of what there is.
	Reserve int

	once    sync.Once
	mu      sync.Mutex // guards what follows
	max     int
	top     int       // max as it was at first, to which it grows back
	moved   time.Time // when max last sank or grew
	used    int
	short   uint64          // how often there was none left
	waiting []chan struct{} // first come, first served; a closed channel has been given one
	spares  []*func() bool  // holders of sockets that are only kept for later use
}

// DefaultReserve is the number of descriptors that a [Budget] leaves alone: 64 for files and
// listeners, and one per lookup of a zero [Resolver].
const DefaultReserve = 64 + DefaultLookups

// regrowAfter is how long a lowered maximum stays as it is before it grows by an eighth.
const regrowAfter = time.Second

func (b *Budget) init() {
	b.once.Do(func() {
		b.max = b.Limit
		if b.max <= 0 {
			free := descriptorLimit() - openDescriptors()
			reserve := b.Reserve
			if reserve <= 0 {
				// An attempt that looks up its name has no socket yet, so that half is enough for lookups.
				reserve = min(DefaultReserve, free/2)
			}
			b.max = max(free-reserve, 1)
		}
		b.top = b.max
	})
}

// Max returns how many sockets may be open at once, at least 1. It sinks when the system runs
// out of descriptors earlier, and grows back in steps of a second.
func (b *Budget) Max() int {
	b.init()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.max
}

// InUse returns how many are taken.
func (b *Budget) InUse() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Short returns how often a descriptor was asked for and none was left.
func (b *Budget) Short() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.short
}

// TryAcquire takes one if there is one, without blocking.
func (b *Budget) TryAcquire() bool {
	b.init()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.take() || b.reclaim() && b.take() {
		return true
	}
	b.short++
	return false
}

// take takes one that nobody waits for. The lock is held.
func (b *Budget) take() bool {
	if len(b.waiting) > 0 {
		return false
	}
	if b.used >= b.max {
		b.regrow()
	}
	if b.used >= b.max {
		return false
	}
	b.used++
	return true
}

// regrow raises a lowered maximum step by step. The lock is held.
func (b *Budget) regrow() {
	if b.max < b.top && time.Since(b.moved) >= regrowAfter {
		b.max = min(b.top, b.max+b.max/8+1)
		b.moved = time.Now()
	}
}

// Acquire takes one and waits for it, first come, first served. It returns ctx's error when
// that ends first.
func (b *Budget) Acquire(ctx context.Context) error {
	b.init()
	b.mu.Lock()
	if b.take() || b.reclaim() && b.take() {
		b.mu.Unlock()
		return nil
	}
	b.short++
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.reclaim() // again: whoever kept a socket since has not seen this one wait
	b.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		b.giveUp(turn)
		return ctx.Err()
	}
}

// giveUp leaves the queue, or passes on what was given meanwhile.
func (b *Budget) giveUp(turn chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == turn {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
	b.used--
	b.handOver()
}

// Release gives one back.
func (b *Budget) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used--
	b.handOver()
}

// handOver gives what is free to those who wait. The lock is held.
func (b *Budget) handOver() {
	if len(b.waiting) > 0 {
		b.regrow()
	}
	for b.used < b.max && len(b.waiting) > 0 {
		b.used++
		close(b.waiting[0])
		b.waiting = b.waiting[1:]
	}
}

// exhausted gives one back that the system did not honour, and lowers the maximum to what it
// did: others in the process or on the machine hold the rest.
func (b *Budget) exhausted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used--
	b.short++
	b.max = max(min(b.max, b.used), 1)
	b.moved = time.Now()
	b.handOver()
}
