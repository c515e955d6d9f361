package nodeset

import (
	"iter"
	"slices"
	"strings"
)

// A Set is an immutable set of node names in canonical order. The zero value is
// the empty set. Its size is that of its pattern, not of its names: a range of a
// million names is one interval. Sets may be used concurrently and share memory.
type Set struct {
	patterns []pattern // sorted by key, none empty
	size     uint64
}

// A pattern is the names which differ only in their indexes.
type pattern struct {
	key    string
	root   *node
	before uint64 // names in earlier patterns, saturating
}

// New returns the set of the names, taken literally.
func New(names ...string) *Set { return Fold(slices.Values(names)) }

// Fold returns the set of the names, taken literally: a bracket or a comma in a
// name is part of it. The empty string is no name and is skipped. The time is
// that of sorting numbers; the memory is a word or two for each name meanwhile,
// and what the folded form needs afterwards.
func Fold(names iter.Seq[string]) *Set {
	var g gatherer
	for name := range names {
		g.addName(name)
	}
	return g.set(&builder{})
}

// sort establishes the invariants of patterns.
func (s *Set) sort() {
	s.patterns = slices.DeleteFunc(s.patterns, func(p pattern) bool { return p.root == nil })
	slices.SortFunc(s.patterns, func(a, b pattern) int { return strings.Compare(a.key, b.key) })
	s.measure()
}

func (s *Set) measure() {
	s.size = 0
	for i := range s.patterns {
		p := &s.patterns[i]
		p.before = s.size
		s.size = satAdd(s.size, p.root.size)
	}
}

// Len returns the number of names, math.MaxInt if there are more.
func (s *Set) Len() int { return int(s.size) }

// All yields the names in order without holding more than one.
func (s *Set) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		var w walker
		for _, p := range s.patterns {
			w.literals = pieces(p.key)
			w.buf = append(w.buf[:0], w.literals[0]...)
			if !w.walk(p.root, 0, yield) {
				return
			}
		}
	}
}

// A walker spells the names of one pattern in one buffer.
type walker struct {
	literals []string
	buf      []byte
}

// walk yields the names below n; the buffer ends where axis begins.
func (w *walker) walk(n *node, axis int, yield func(string) bool) bool {
	if n == end {
		return yield(string(w.buf))
	}
	from := len(w.buf)
	for _, e := range n.edges {
		v, width := unrank(e.lo)
		w.buf = appendPadded(w.buf[:from], v, width)
		for r := e.lo; ; r++ {
			to := len(w.buf)
			w.buf = append(w.buf, w.literals[axis+1]...)
			if !w.walk(e.child, axis+1, yield) {
				return false
			}
			if r == e.hi {
				break
			}
			w.buf = advance(w.buf[:to], from)
		}
	}
	w.buf = w.buf[:from]
	return true
}

// At returns the name at index i of the order, false if there is none. It takes
// logarithmic time in the number of patterns and intervals.
func (s *Set) At(i int) (string, bool) {
	if i < 0 || uint64(i) >= s.size {
		return "", false
	}
	p := s.patterns[s.patternAt(uint64(i))]
	return p.name(p.root.locate(uint64(i)-p.before, nil)), true
}

// patternAt returns the pattern that holds the name at index i.
func (s *Set) patternAt(i uint64) int {
	k, _ := slices.BinarySearchFunc(s.patterns, i, func(p pattern, i uint64) int {
		if p.before <= i {
			return -1
		}
		return 1
	})
	return k - 1
}

// name spells the name of the pattern with the given indexes.
func (p pattern) name(ranks []uint64) string {
	literals := pieces(p.key)
	buf := append(make([]byte, 0, 64), literals[0]...)
	for axis, r := range ranks {
		v, width := unrank(r)
		buf = append(appendPadded(buf, v, width), literals[axis+1]...)
	}
	return string(buf)
}

// Index returns the index of a name in the order, false if it is not in the set.
func (s *Set) Index(name string) (int, bool) {
	key, ranks := scanName(name, make([]byte, 0, 64), make([]uint64, 0, 8))
	k, ok := slices.BinarySearchFunc(s.patterns, string(key), func(p pattern, key string) int {
		return strings.Compare(p.key, key)
	})
	if !ok {
		return 0, false
	}
	at, ok := s.patterns[k].root.position(ranks)
	return int(satAdd(s.patterns[k].before, at)), ok
}

// Contains reports whether a name, taken literally, is in the set.
func (s *Set) Contains(name string) bool {
	_, ok := s.Index(name)
	return ok
}
