package nodeset

import (
	"slices"
	"strings"
)

// Union returns the names in s or t.
func (s *Set) Union(t *Set) *Set { return (&builder{}).sets(union, s, t) }

// Difference returns the names in s but not in t (exclusion).
func (s *Set) Difference(t *Set) *Set { return (&builder{}).sets(difference, s, t) }

// Intersection returns the names in both s and t.
func (s *Set) Intersection(t *Set) *Set { return (&builder{}).sets(intersection, s, t) }

// SymmetricDifference returns the names in exactly one of s and t.
func (s *Set) SymmetricDifference(t *Set) *Set {
	return (&builder{}).sets(symmetricDifference, s, t)
}

// Includes reports whether every name of t is in s.
func (s *Set) Includes(t *Set) bool { return t.Difference(s).size == 0 }

// Equal reports whether s and t have the same names.
func (s *Set) Equal(t *Set) bool {
	if s.size != t.size || len(s.patterns) != len(t.patterns) {
		return false
	}
	var b builder
	for i, p := range s.patterns {
		q := t.patterns[i]
		if p.key != q.key || b.take(p.root) != b.take(q.root) {
			return false
		}
	}
	return true
}

// sets applies op to two sets by merging their sorted patterns.
func (b *builder) sets(op operation, s, t *Set) *Set {
	r := &Set{patterns: make([]pattern, 0, len(s.patterns))}
	keep := func(key string, n *node) {
		if n != nil {
			r.patterns = append(r.patterns, pattern{key: key, root: n})
		}
	}
	ps, qs := s.patterns, t.patterns
	for len(ps) > 0 || len(qs) > 0 {
		switch c := compareHeads(ps, qs); {
		case c < 0:
			keep(ps[0].key, pick(op.keepsLeft(), ps[0].root))
			ps = ps[1:]
		case c > 0:
			keep(qs[0].key, pick(op.keepsRight(), qs[0].root))
			qs = qs[1:]
		default:
			keep(ps[0].key, b.combine(op, b.take(ps[0].root), b.take(qs[0].root)))
			ps, qs = ps[1:], qs[1:]
		}
	}
	r.measure()
	return r
}

// compareHeads compares the first keys; an empty list comes last.
func compareHeads(ps, qs []pattern) int {
	switch {
	case len(qs) == 0:
		return -1
	case len(ps) == 0:
		return 1
	}
	return strings.Compare(ps[0].key, qs[0].key)
}

// uniteSets is the union of many sets, pairwise as in unite.
func (b *builder) uniteSets(sets []*Set) *Set {
	for len(sets) > 1 {
		half := sets[:0:0]
		for pair := range slices.Chunk(sets, 2) {
			s := pair[0]
			if len(pair) == 2 {
				s = b.sets(union, s, pair[1])
			}
			half = append(half, s)
		}
		sets = half
	}
	if len(sets) == 0 {
		return &Set{}
	}
	return sets[0]
}
