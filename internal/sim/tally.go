package sim

import (
	"maps"
	"net/netip"
	"sync"
)

// shards spreads the per-address counts over that many locks.
const shards = 64

// count is what one address has seen since the last reset.
type count struct {
	key      uint64 // 0 is a free slot
	bytes    uint64 // sent
	requests uint32
	conns    uint32
	open     uint32
	peak     uint32
}

// tally counts per address: 32 bytes each, in open-addressing tables at most
// three quarters full. Safe for concurrent use.
type tally struct {
	shard [shards]tallyShard
}

type tallyShard struct {
	mu    sync.Mutex
	slots []count // length is a power of two
	used  int
	v6    map[uint64]netip.AddrPort // what IPv6 keys stand for
	_     [64]byte                  // keeps neighbours' locks off this cache line
}

func (t *tally) of(key uint64) (*tallyShard, uint64) {
	h := mix(key)
	return &t.shard[h%shards], h / shards
}

// slot finds or makes the count of an endpoint; the shard is locked.
func (s *tallyShard) slot(ep *endpoint, h uint64) *count {
	if s.used*4 >= len(s.slots)*3 {
		s.grow()
	}
	c := s.find(ep.key, h)
	if c.key == 0 {
		c.key = ep.key
		s.used++
		if ep.key&v6Key != 0 {
			if s.v6 == nil {
				s.v6 = map[uint64]netip.AddrPort{}
			}
			s.v6[ep.key] = ep.addr
		}
	}
	return c
}

// find is the slot of key or the free one where it belongs.
func (s *tallyShard) find(key, h uint64) *count {
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if c := &s.slots[i]; c.key == key || c.key == 0 {
			return c
		}
	}
}

func (s *tallyShard) grow() {
	old := s.slots
	s.slots = make([]count, max(16, 2*len(old)))
	for _, c := range old {
		if c.key != 0 {
			*s.find(c.key, mix(c.key)/shards) = c
		}
	}
}

// opened counts a connection.
func (t *tally) opened(ep *endpoint) {
	s, h := t.of(ep.key)
	s.mu.Lock()
	c := s.slot(ep, h)
	c.conns++
	c.open++
	c.peak = max(c.peak, c.open)
	s.mu.Unlock()
}

// request counts a request and returns its number at the address, from 1.
func (t *tally) request(ep *endpoint) uint64 {
	s, h := t.of(ep.key)
	s.mu.Lock()
	c := s.slot(ep, h)
	c.requests++
	n := c.requests
	s.mu.Unlock()
	return uint64(n)
}

// closed counts the end of a connection and the bytes it was sent since the
// last call.
func (t *tally) closed(ep *endpoint, sent uint64) {
	s, h := t.of(ep.key)
	s.mu.Lock()
	c := s.slot(ep, h)
	c.open--
	c.bytes += sent
	s.mu.Unlock()
}

// get is the count of one endpoint, zero if it was never seen.
func (t *tally) get(key uint64) count {
	s, h := t.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.slots) == 0 {
		return count{}
	}
	return *s.find(key, h)
}

// each calls yield for every address seen, a shard at a time, in no order; it
// holds no lock during yield.
func (t *tally) each(yield func(netip.AddrPort, count) bool) {
	for i := range t.shard {
		s := &t.shard[i]
		s.mu.Lock()
		slots := make([]count, 0, s.used)
		names := make(map[uint64]netip.AddrPort, len(s.v6))
		for _, c := range s.slots {
			if c.key != 0 {
				slots = append(slots, c)
			}
		}
		maps.Copy(names, s.v6)
		s.mu.Unlock()
		for _, c := range slots {
			addr := addrOf(c.key)
			if c.key&v6Key != 0 {
				addr = names[c.key]
			}
			if !yield(addr, c) {
				return
			}
		}
	}
}

// sum is the number of addresses that sent a request or connected, and the most
// requests and simultaneous connections of one.
func (t *tally) sum() (distinct int, maxRequests, maxPeak uint32) {
	for i := range t.shard {
		s := &t.shard[i]
		s.mu.Lock()
		for j := range s.slots {
			if c := &s.slots[j]; c.requests > 0 || c.conns > 0 {
				distinct++
				maxRequests, maxPeak = max(maxRequests, c.requests), max(maxPeak, c.peak)
			}
		}
		s.mu.Unlock()
	}
	return distinct, maxRequests, maxPeak
}

// reset forgets everything but the connections still open.
func (t *tally) reset() {
	for i := range t.shard {
		s := &t.shard[i]
		s.mu.Lock()
		old := s.slots
		s.slots, s.used = nil, 0
		for _, c := range old {
			if c.open > 0 {
				if s.used*4 >= len(s.slots)*3 {
					s.grow()
				}
				*s.find(c.key, mix(c.key)/shards) = count{key: c.key, open: c.open, peak: c.open}
				s.used++
			}
		}
		s.mu.Unlock()
	}
}
