package store

import (
	"math/bits"
	"slices"
	"sort"
)

// The lookup of a list finds a target's number by its id: the 32-bit hashes of
// all ids, sorted, with the numbers, cut into buckets by the first bits of the hash.
// A hit must be compared with the list, as hashes of different ids may be equal.

// bucketTargets is about how many targets share a bucket.
const bucketTargets = 1024

// hashID is 64-bit FNV-1a, folded: the same in every process, unlike package maphash.
func hashID(id string) uint32 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	// The last bytes reach the high bits only through one more multiplication.
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}

// lookupEntry is a hash in the high half and a number in the low one.
type lookupEntry uint64

func entryOf(id string, index int) lookupEntry {
	return lookupEntry(hashID(id))<<32 | lookupEntry(uint32(index))
}

// bucketCount returns the number of buckets for n targets: a power of two.
func bucketCount(n int) int {
	return 1 << bits.Len(uint((n-1)/bucketTargets))
}

func bucketOf(hash uint32, buckets int) int {
	return int(uint64(hash) * uint64(buckets) >> 32)
}

// eachBucket sorts the entries and calls f for every bucket that has some.
func eachBucket(es []lookupEntry, buckets int, f func(bucket int, es []lookupEntry) error) error {
	slices.Sort(es)
	for len(es) > 0 {
		b := bucketOf(uint32(es[0]>>32), buckets)
		n := sort.Search(len(es), func(i int) bool { return bucketOf(uint32(es[i]>>32), buckets) > b })
		if err := f(b, es[:n]); err != nil {
			return err
		}
		es = es[n:]
	}
	return nil
}

// packBucket returns the packed form of sorted entries.
func (p *packer) packBucket(es []lookupEntry) []byte {
	b := appendUint(nil, uint64(len(es)))
	prev := uint64(0)
	for _, e := range es {
		b = appendUint(b, uint64(e>>32)-prev)
		prev = uint64(e >> 32)
		b = appendUint(b, uint64(uint32(e)))
	}
	return p.pack(nil, b)
}

// findInBucket returns the numbers of the targets that may have the id.
func (p *packer) findInBucket(packed []byte, id string) ([]int, error) {
	raw, err := p.unpack(packed)
	if err != nil {
		return nil, err
	}
	in, want, h := scanner{b: raw}, uint64(hashID(id)), uint64(0)
	var found []int
	for range in.count() {
		h += in.uint()
		if n := in.uint(); h == want && !in.bad {
			found = append(found, int(n))
		}
	}
	return found, in.err()
}
