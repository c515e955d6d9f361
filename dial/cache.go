package dial

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// cacheShards spreads the locks; a power of two.
const cacheShards = 64

// key is a canonical name and the family asked for.
type key struct {
	host   string
	family uint8
}

// cache keeps answers and joins those who ask for the same name at the same time.
type cache struct {
	seed   maphash.Seed
	start  time.Time // expiries are counted from here, on the monotonic clock
	shards [cacheShards]shard
	max    int // entries per shard
}

type shard struct {
	mu      sync.Mutex
	entries map[key]entry
	flights map[key]*flight
}

// entry is one answer. It holds no pointer that is not needed, for there may be many.
type entry struct {
	addr    netip.Addr
	err     *Error
	expires time.Duration
}

// flight is one lookup under way. done is closed when the rest has been written.
type flight struct {
	done      chan struct{}
	addr      netip.Addr
	err       *Error
	abandoned bool // the lookup was given up, not answered
}

// closed is the done of lookups that are over.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *cache) init(names int) {
	c.seed, c.start = maphash.MakeSeed(), time.Now()
	c.max = max((names+cacheShards-1)/cacheShards, 1)
	for i := range c.shards {
		c.shards[i].entries = map[key]entry{}
		c.shards[i].flights = map[key]*flight{}
	}
}

func (c *cache) shard(k key) *shard {
	return &c.shards[maphash.String(c.seed, k.host)%cacheShards]
}

// get returns a kept answer that has not expired.
func (c *cache) get(k key) (netip.Addr, *Error, bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := c.live(s, k)
	return e.addr, e.err, ok
}

// live returns k's entry unless it has expired. The shard is locked.
func (c *cache) live(s *shard, k key) (entry, bool) {
	e, ok := s.entries[k]
	return e, ok && e.expires >= time.Since(c.start)
}

// join returns the lookup of k that is under way, or a new one that the caller must lead to
// its end. An answer that is kept comes as a lookup that is over.
func (c *cache) join(k key) (f *flight, mine bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := c.live(s, k); ok {
		return &flight{done: closed, addr: e.addr, err: e.err}, false
	}
	if f, ok := s.flights[k]; ok {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	s.flights[k] = f
	return f, true
}

// finish ends a lookup and keeps its answer for ttl, if that is positive.
func (c *cache) finish(k key, f *flight, ttl time.Duration) {
	s := c.shard(k)
	s.mu.Lock()
	delete(s.flights, k)
	if ttl > 0 && !f.abandoned {
		now := time.Since(c.start)
		s.makeRoom(c.max, now)
		s.entries[k] = entry{f.addr, f.err, now + ttl}
	}
	s.mu.Unlock()
	close(f.done)
}

// evictionLook is how many entries are looked at for an expired one.
const evictionLook = 8

// makeRoom evicts when the shard is full: an expired entry if a few random ones hold one, else a
// random one.
func (s *shard) makeRoom(limit int, now time.Duration) {
	if len(s.entries) < limit {
		return
	}
	var victim key
	seen := 0
	for k, e := range s.entries {
		if seen == 0 || e.expires < now {
			victim = k
		}
		if seen++; e.expires < now || seen == evictionLook {
			break
		}
	}
	delete(s.entries, victim)
}
