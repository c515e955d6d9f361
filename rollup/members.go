package rollup

import (
	"iter"
	"math/bits"
	"slices"
)

// Members is a set of target indexes. It takes an eighth of a byte per member where the set
// is dense and two bytes where it is sparse, beyond some 50 bytes for each 65,536
// indexes of the list that it touches. The zero value is empty.
type Members struct {
	chunks []chunk // by high, ascending
}

// A chunk is the part of a set within one run of 65,536 indexes: a list while it is
// short, else a bitmap.
type chunk struct {
	high   int
	low    []uint16
	bits   *[chunkBits / 64]uint64
	tidied bool // low is sorted and without repeats
}

const (
	chunkBits = 1 << 16
	maxLow    = chunkBits / 16 // where the list outgrows the bitmap
)

// Add adds index i, which must not be negative.
func (m *Members) Add(i int) {
	c := m.chunk(i / chunkBits)
	c.add(uint16(i % chunkBits))
}

func (m *Members) chunk(high int) *chunk {
	if n := len(m.chunks); n > 0 && m.chunks[n-1].high == high {
		return &m.chunks[n-1]
	}
	at, found := slices.BinarySearchFunc(m.chunks, high, func(c chunk, high int) int { return c.high - high })
	if !found {
		m.chunks = slices.Insert(m.chunks, at, chunk{high: high, tidied: true})
	}
	return &m.chunks[at]
}

func (c *chunk) add(low uint16) {
	if c.bits != nil {
		c.bits[low/64] |= 1 << (low % 64)
		return
	}
	if n := len(c.low); c.tidied && n > 0 && c.low[n-1] >= low {
		c.tidied = false
	}
	c.low = append(c.low, low)
	if len(c.low) < maxLow {
		return
	}
	if c.tidy(); len(c.low) >= maxLow/2 {
		c.bits = new([chunkBits / 64]uint64)
		for _, low := range c.low {
			c.bits[low/64] |= 1 << (low % 64)
		}
		c.low = nil
	}
}

func (c *chunk) tidy() {
	if !c.tidied {
		slices.Sort(c.low)
		c.low, c.tidied = slices.Compact(c.low), true
	}
}

// Merge adds all of o, which does not change but for its inner order.
func (m *Members) Merge(o *Members) {
	for i := range o.chunks {
		from := &o.chunks[i]
		to := m.chunk(from.high)
		for low := range from.all {
			to.add(low)
		}
	}
}

// Len returns how many members there are.
func (m *Members) Len() int {
	n := 0
	for i := range m.chunks {
		c := &m.chunks[i]
		c.tidy()
		n += len(c.low)
		if c.bits != nil {
			for _, w := range c.bits {
				n += bits.OnesCount64(w)
			}
		}
	}
	return n
}

// All yields the members in ascending order. The set must not change meanwhile.
func (m *Members) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range m.chunks {
			c := &m.chunks[i]
			for low := range c.all {
				if !yield(c.high*chunkBits + int(low)) {
					return
				}
			}
		}
	}
}

func (c *chunk) all(yield func(uint16) bool) {
	c.tidy()
	for _, low := range c.low {
		if !yield(low) {
			return
		}
	}
	if c.bits == nil {
		return
	}
	for i, w := range c.bits {
		for ; w != 0; w &= w - 1 {
			if !yield(uint16(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
