package inventory

import "hash/maphash"

// idSet remembers ids by 128 bits of hash, 16 bytes a slot: 100 bits of the
// id and 28 of the address it belongs to. It finds exact duplicates, and ids that
// stand for two addresses. The hash is seeded anew for each set, so no
// inventory can be made to collide.
//
// It is split into shards that grow one by one, so that growth never holds the whole set twice.
type idSet struct {
	seeds  [2]maphash.Seed
	shards [256]shard
}

type shard struct {
	slots []slot
	used  int
}

type slot struct{ hi, lo uint64 }

const (
	addrBits = 28
	addrMask = 1<<addrBits - 1
)

func newIDSet() *idSet {
	return &idSet{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// seen is what a set knows about an id.
type seen uint8

const (
	seenNot     seen = iota
	seenSame         // with the same address
	seenOtherAt      // with another address
)

// add puts an id in, unless it is there, and returns what was known before.
func (s *idSet) add(id, address []byte) seen {
	k := s.key(id, address)
	sh := &s.shards[k.hi>>56]
	if 8*(sh.used+1) > 7*len(sh.slots) {
		sh.grow()
	}
	at, was := sh.find(k)
	if was == seenNot {
		sh.slots[at] = k
		sh.used++
	}
	return was
}

// has reports what is known about an id.
func (s *idSet) has(id, address []byte) seen {
	k := s.key(id, address)
	sh := &s.shards[k.hi>>56]
	if len(sh.slots) == 0 {
		return seenNot
	}
	_, was := sh.find(k)
	return was
}

func (s *idSet) key(id, address []byte) slot {
	k := slot{maphash.Bytes(s.seeds[0], id), maphash.Bytes(s.seeds[1], id)}
	k.lo = k.lo&^addrMask | maphash.Bytes(s.seeds[0], address)&addrMask
	if k == (slot{}) {
		k.lo = 1 << addrBits // the zero slot is an empty one
	}
	return k
}

// find returns the slot of k, or the empty one where it belongs.
func (sh *shard) find(k slot) (int, seen) {
	n := uint64(len(sh.slots))
	// The bits below the shard's choose the place.
	for at := int(k.hi << 8 >> 32 * n >> 32); ; {
		switch got := sh.slots[at]; {
		case got == slot{}:
			return at, seenNot
		case got == k:
			return at, seenSame
		case got.hi == k.hi && got.lo|addrMask == k.lo|addrMask:
			return at, seenOtherAt
		}
		if at++; at == len(sh.slots) {
			at = 0
		}
	}
}

func (sh *shard) grow() {
	old := sh.slots
	sh.slots = make([]slot, max(8, len(old)+len(old)/2))
	for _, k := range old {
		if k != (slot{}) {
			at, _ := sh.find(k)
			sh.slots[at] = k
		}
	}
}
