package inventory

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/musterhq/muster"
)

const (
	// maxTargets bounds one range; it keeps every product far from overflow.
	maxTargets = 1 << 40
	// maxPieces bounds the intervals that one bracket, or one range cut by others, may
	// fall into.
	maxPieces = 1 << 18
	// maxDims is how many runs of digits of a name are numbers; further ones are text.
	maxDims = 16
)

// Shapes of addresses; every other shape is a name's text with hole for its numbers.
const (
	shapeIPv4 = "4" // four octets
	shapeIPv6 = "6" // the upper and the lower 64 bits
	hole      = "\x00"
)

// box is a grid of hosts: all combinations of the numbers of its dimensions in
// one shape, the last dimension fastest. Two boxes share hosts only when their
// shapes are equal and all their dimensions overlap.
type box struct {
	shape string
	text  []string // the pieces around the numbers of a name
	dims  []ranges
	n     uint64
}

func newBox(shape string, dims []ranges) (*box, error) {
	b := &box{shape: shape, dims: dims, n: 1}
	if shape != shapeIPv4 && shape != shapeIPv6 {
		b.text = strings.Split(shape, hole)
	}
	for i := range dims {
		hi, lo := bits.Mul64(b.n, dims[i].n)
		if hi != 0 || lo > maxTargets {
			return nil, errTooMany
		}
		b.n = lo
	}
	return b, nil
}

var errTooMany = errors.New("more than 2^40 hosts: name a smaller range")

// coords are a host's numbers, one per dimension.
type coords [maxDims]uint64

func (b *box) coords(rank uint64) (c coords) {
	for d := len(b.dims) - 1; d >= 0; d-- {
		n := b.dims[d].n
		c[d] = b.dims[d].at(rank % n)
		rank /= n
	}
	return c
}

// rank is the inverse of coords.
func (b *box) rank(c *coords) (rank uint64, ok bool) {
	for d := range b.dims {
		r, ok := b.dims[d].rank(c[d])
		if !ok {
			return 0, false
		}
		rank = rank*b.dims[d].n + r
	}
	return rank, true
}

// appendHost appends the host with the given rank, and returns its address if it is one.
func (b *box) appendHost(dst []byte, rank uint64) ([]byte, netip.Addr) {
	c := b.coords(rank)
	switch b.shape {
	case shapeIPv4:
		a := netip.AddrFrom4([4]byte{byte(c[0]), byte(c[1]), byte(c[2]), byte(c[3])})
		return a.AppendTo(dst), a
	case shapeIPv6:
		var b16 [16]byte
		binary.BigEndian.PutUint64(b16[:8], c[0])
		binary.BigEndian.PutUint64(b16[8:], c[1])
		a := netip.AddrFrom16(b16)
		return a.AppendTo(dst), a
	}
	for d := range b.dims {
		dst = append(dst, b.text[d]...)
		dst = appendDigits(dst, c[d])
	}
	return append(dst, b.text[len(b.dims)]...), netip.Addr{}
}

func (b *box) host(rank uint64) host {
	var buf [128]byte
	text, addr := b.appendHost(buf[:0], rank)
	return host{string(text), addr}
}

// grid is a box, or the part of it whose ranks are in keep. keep is nil for all.
type grid struct {
	*box
	keep *ranges
	// trimmed marks a prefix whose keep leaves out the network and the broadcast
	// address. They belong to it where others are matched against it.
	trimmed bool
}

// matching returns the grid as others are matched against it.
func (g grid) matching() grid {
	if g.trimmed {
		return grid{box: g.box}
	}
	return g
}

func (g grid) len() uint64 {
	if g.keep != nil {
		return g.keep.n
	}
	return g.n
}

// rankAt returns the rank in the box of host i of the grid.
func (g grid) rankAt(i uint64) uint64 {
	if g.keep != nil {
		return g.keep.at(i)
	}
	return i
}

func (g grid) has(c *coords) bool {
	r, ok := g.rank(c)
	if ok && g.keep != nil {
		_, ok = g.keep.rank(r)
	}
	return ok
}

// all returns the ranks of the grid as a set.
func (g grid) all() ranges {
	if g.keep != nil {
		return *g.keep
	}
	return newRanges([]span{{0, g.n - 1}})
}

// only returns the grid cut to the given ranks of its box.
func (g grid) only(keep ranges) grid { return grid{box: g.box, keep: &keep} }

var errTooComplex = muster.Errorf(muster.KindInvalid,
	"ranges overlap in more than %d pieces: cut them along whole octets or numbers", maxPieces)

// overlap returns the ranks in a's box of the hosts that are also in b. The
// shapes must be equal.
//
// Behind the last dimension in which the common part differs from a or from b
// every combination is common, so the common hosts come in runs that are
// contiguous in the ranks of both boxes.
func overlap(a, b grid) ([]span, error) {
	common := make([]ranges, len(a.dims))
	last, runs := -1, uint64(1)
	for d := range common {
		common[d] = a.dims[d].intersect(&b.dims[d])
		if common[d].n == 0 {
			return nil, nil
		}
		if common[d].n != a.dims[d].n || common[d].n != b.dims[d].n {
			last = d
		}
	}
	if last < 0 {
		return b.clip(nil, span{0, a.n - 1}, 0), nil
	}
	for d := range last {
		if runs *= common[d].n; runs > maxPieces {
			return nil, errTooComplex
		}
	}
	if runs*uint64(len(common[last].spans)) > maxPieces {
		return nil, errTooComplex
	}
	return runsOf(a, b, common[:last+1])
}

// runsOf walks the combinations of the outer common dimensions; the last one
// gives one run for each of its spans.
func runsOf(a, b grid, common []ranges) ([]span, error) {
	last := len(common) - 1
	prefix, err := newBox("", common[:last])
	if err != nil {
		return nil, err
	}
	stride := uint64(1)
	for _, d := range a.dims[len(common):] {
		stride *= d.n
	}
	var out []span
	for p := range prefix.n {
		c := prefix.coords(p)
		for _, s := range common[last].spans {
			c[last] = s.lo
			from, at := prefixRank(a.dims[:last+1], &c), prefixRank(b.dims[:last+1], &c)
			run := span{from * stride, (from+s.len())*stride - 1}
			out = b.clip(out, run, at*stride)
		}
		if len(out) > maxPieces {
			return nil, errTooComplex
		}
	}
	return out, nil
}

func prefixRank(dims []ranges, c *coords) (rank uint64) {
	for d := range dims {
		r, _ := dims[d].rank(c[d])
		rank = rank*dims[d].n + r
	}
	return rank
}

// clip appends to out the part of run that b keeps; run begins at rank at in b's box.
func (g grid) clip(out []span, run span, at uint64) []span {
	if g.keep == nil {
		return append(out, run)
	}
	for _, s := range g.keep.within(span{at, at + run.len() - 1}) {
		out = append(out, span{s.lo - at + run.lo, s.hi - at + run.lo})
	}
	return out
}
