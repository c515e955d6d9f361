package nodeset

import (
	"fmt"
	"slices"
)

// A Folding says how sets are written. The zero value folds every axis into
// contiguous ranges. Whatever it says, Parse reads the text back as the same set.
type Folding struct {
	// Autostep writes n[1-9/2] for at least that many indexes at equal distances;
	// 0 never does.
	Autostep int
	// Axes are the axes to fold, others are written out: 1 is the first, -1 the
	// last; numbers without an axis are ignored. Empty folds all.
	Axes []int

	groups bool // the names are groups: a leading @ is one
}

// String returns the folded set: web[1-20],db1. Sets that are equal have equal
// strings, names with special characters have backslashes, and the empty set is "".
func (s *Set) String() string { return Folding{}.text(s) }

// Text writes s. With Axes it is an error wrapping [ErrTooLarge] if more than
// 16,777,216 pieces would have to be written out.
func (f Folding) Text(s *Set) (string, error) {
	if len(f.Axes) > 0 {
		left := budget{left: maxListed}
		for _, p := range s.patterns {
			for _, axes := range p.rectangles() {
				if !left.spendAll(f.expanded(axes).size()) {
					return "", fmt.Errorf("fold along axes %v only: %w", f.Axes, ErrTooLarge)
				}
			}
		}
	}
	return f.text(s), nil
}

func (p pattern) rectangles() []box { return rectangles(p.root, len(pieces(p.key))-1) }

// folds reports whether the axis, from 0, of n is folded.
func (f Folding) folds(axis, n int) bool {
	return len(f.Axes) == 0 || slices.Contains(f.Axes, axis+1) || slices.Contains(f.Axes, axis-n)
}

// expanded keeps the axes of a box that are written out.
func (f Folding) expanded(axes box) box {
	var out box
	for i, spans := range axes {
		if !f.folds(i, len(axes)) {
			out = append(out, spans)
		}
	}
	return out
}

func (f Folding) text(s *Set) string {
	w := writer{Folding: f}
	for _, p := range s.patterns {
		w.literals = pieces(p.key)
		for _, axes := range p.rectangles() {
			w.box(axes, 0)
		}
	}
	return string(w.dst)
}

// A writer writes the boxes of one pattern after another.
type writer struct {
	Folding
	literals  []string
	dst       []byte
	separator byte // behind the last name
}

// box writes a box: one name for each combination of the axes not folded.
func (w *writer) box(axes box, axis int) {
	for axis < len(axes) && w.folds(axis, len(axes)) {
		axis++
	}
	if axis == len(axes) {
		w.name(axes)
		return
	}
	all := axes[axis]
	for _, s := range all {
		for r := s.lo; r <= s.hi; r++ {
			axes[axis] = []span{{r, r}}
			w.box(axes, axis+1)
		}
	}
	axes[axis] = all
}

func (w *writer) name(axes box) {
	if len(w.dst) > 0 {
		w.dst = append(w.dst, w.separator)
	}
	q := quoter{started: w.groups}
	w.dst = q.append(w.dst, w.literals[0])
	for axis, spans := range axes {
		w.dst = w.appendAxis(w.dst, spans)
		q.index()
		w.dst = q.append(w.dst, w.literals[axis+1])
	}
	w.separator = ','
	if q.url.inPath() {
		w.separator = ' ' // a comma would belong to the path
	}
}

func (w *writer) appendAxis(dst []byte, spans []span) []byte {
	if len(spans) == 1 && spans[0].lo == spans[0].hi {
		v, width := unrank(spans[0].lo)
		return appendPadded(dst, v, width)
	}
	minSteps := uint64(noSteps)
	if w.Autostep > 0 {
		minSteps = uint64(w.Autostep - 1)
	}
	dst = append(dst, '[')
	dst = appendRuns(dst, runs(spans, minSteps))
	return append(dst, ']')
}
