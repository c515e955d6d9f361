package nodeset

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Range returns the names with index from (inclusive) to to (exclusive), both cut
// to the size of the set. It lists nothing.
func (s *Set) Range(from, to int) *Set {
	lo, hi := uint64(max(from, 0)), min(uint64(max(to, 0)), s.size)
	r := &Set{}
	if lo >= hi {
		return r
	}
	var b builder
	for _, p := range s.patterns[s.patternAt(lo):] {
		if p.before >= hi {
			break
		}
		first := max(lo, p.before) - p.before
		n := b.part(p.root, first, min(hi-p.before, p.root.size))
		r.patterns = append(r.patterns, pattern{key: p.key, root: n})
	}
	r.measure()
	return r
}

// part is the set of the vectors at [lo,hi) of n, which are some.
func (b *builder) part(n *node, lo, hi uint64) *node {
	if lo == 0 && hi == n.size {
		return b.take(n)
	}
	from := len(b.stack)
	for _, e := range n.edges[n.edgeAt(lo):] {
		if e.before >= hi {
			break
		}
		size := satMul(e.hi-e.lo+1, e.child.size)
		b.pushPart(from, e, max(lo, e.before)-e.before, min(hi-e.before, size))
	}
	return b.pop(from)
}

// pushPart pushes the vectors at [lo,hi) of an edge: a part of the child at
// either end and whole children between them.
func (b *builder) pushPart(from int, e edge, lo, hi uint64) {
	each := e.child.size
	first, last := lo/each, (hi-1)/each
	if first == last {
		b.push(from, span{e.lo + first, e.lo + first}, b.part(e.child, lo%each, (hi-1)%each+1))
		return
	}
	if lo%each != 0 {
		b.push(from, span{e.lo + first, e.lo + first}, b.part(e.child, lo%each, each))
		first++
	}
	whole := last
	if hi%each == 0 {
		whole++
	}
	if first < whole {
		b.push(from, span{e.lo + first, e.lo + whole - 1}, b.take(e.child))
	}
	if whole == last {
		b.push(from, span{e.lo + last, e.lo + last}, b.part(e.child, 0, hi%each))
	}
}

// Slice returns the names at the indexes of a text such as "0-4,9,20-40/2". The
// first name has index 0; indexes beyond the end are ignored.
func (s *Set) Slice(indexes string) (*Set, error) {
	ivs, err := parseIntervals(indexes)
	if err != nil {
		return nil, fmt.Errorf("slice %q: %w", indexes, err)
	}
	var g gatherer
	var sets []*Set
	left := budget{left: maxListed}
	for _, iv := range ivs {
		if iv.negFirst {
			return nil, fmt.Errorf("slice %q: indexes cannot be negative", indexes)
		}
		if iv.first >= s.size {
			continue
		}
		last := min(iv.last, s.size-1)
		if iv.step == 1 && iv.first < last {
			sets = append(sets, s.Range(int(iv.first), int(last)+1))
			continue
		}
		if !left.spendAll((last-iv.first)/iv.step + 1) {
			return nil, fmt.Errorf("slice %q: %w", indexes, ErrTooLarge)
		}
		for i := iv.first; i <= last; i += iv.step {
			name, _ := s.At(int(i))
			g.addName(name)
		}
	}
	var b builder
	return b.uniteSets(append(sets, g.set(&b))), nil
}

// Split yields n sets, or as many as there are names if these are fewer: rows of
// neighbours in the order of the set, whose sizes differ by at most one, the
// larger ones first. Less than 1 counts as 1.
func (s *Set) Split(n int) iter.Seq[*Set] {
	return func(yield func(*Set) bool) {
		n := min(max(n, 1), s.Len())
		from := 0
		for i := range n {
			to := from + s.Len()/n
			if i < s.Len()%n {
				to++
			}
			if !yield(s.Range(from, to)) {
				return
			}
			from = to
		}
	}
}

// Contiguous yields the parts of the set that are written with at most one plain
// range for each axis: n[1-3,5] is n[1-3] and n5.
func (s *Set) Contiguous() iter.Seq[*Set] {
	return func(yield func(*Set) bool) {
		for _, p := range s.patterns {
			for _, axes := range p.rectangles() {
				if !p.contiguous(make(box, 0, len(axes)), axes, yield) {
					return
				}
			}
		}
	}
}

func (p pattern) contiguous(done, rest box, yield func(*Set) bool) bool {
	if len(rest) == 0 {
		var b builder
		s := &Set{patterns: []pattern{{key: p.key, root: b.grid(done)}}}
		s.measure()
		return yield(s)
	}
	for _, r := range runs(rest[0], noSteps) {
		iv := interval{first: r.first, last: r.last, step: 1, pad: r.pad}
		if !p.contiguous(append(done, iv.appendSpans(nil)), rest[1:], yield) {
			return false
		}
	}
	return true
}

// Pick returns n names chosen at random, all of them equally likely, or s itself
// if it has no more. The same seed picks the same names.
func (s *Set) Pick(n int, seed uint64) *Set {
	if n >= s.Len() {
		return s
	}
	random := rand.New(rand.NewPCG(seed, 0))
	chosen := make(map[int]struct{}, max(n, 0))
	var g gatherer
	for i := s.Len() - max(n, 0); i < s.Len(); i++ { // Floyd's sampling: n draws, no list
		k := random.IntN(i + 1)
		if _, taken := chosen[k]; taken {
			k = i
		}
		chosen[k] = struct{}{}
		name, _ := s.At(k)
		g.addName(name)
	}
	return g.set(&builder{})
}
