package inventory

import (
	"cmp"
	"slices"
	"sort"
)

// span is the numbers lo to hi, both included.
type span struct{ lo, hi uint64 }

func (s span) len() uint64 { return s.hi - s.lo + 1 }

// ranges is a set of fewer than 2^64 numbers, in ascending order. It is
// immutable; its zero value is empty.
type ranges struct {
	spans  []span
	before []uint64 // how many numbers the spans before each one hold
	n      uint64
}

// newRanges takes spans in any order, overlapping or not, and keeps the slice.
func newRanges(spans []span) ranges {
	if !slices.IsSortedFunc(spans, compareSpans) {
		slices.SortFunc(spans, compareSpans)
	}
	merged := spans[:0]
	for _, s := range spans {
		if k := len(merged) - 1; k >= 0 && (s.lo <= merged[k].hi || s.lo == merged[k].hi+1) {
			merged[k].hi = max(merged[k].hi, s.hi)
			continue
		}
		merged = append(merged, s)
	}
	r := ranges{spans: merged, before: make([]uint64, len(merged))}
	for i, s := range merged {
		r.before[i] = r.n
		r.n += s.len()
	}
	return r
}

func compareSpans(a, b span) int { return cmp.Compare(a.lo, b.lo) }

func oneNumber(v uint64) ranges { return newRanges([]span{{v, v}}) }

// at returns number i of the set, i < n.
func (r *ranges) at(i uint64) uint64 {
	if len(r.spans) == 1 {
		return r.spans[0].lo + i
	}
	k := sort.Search(len(r.before), func(k int) bool { return r.before[k] > i }) - 1
	return r.spans[k].lo + i - r.before[k]
}

// rank returns how many numbers of the set are below v, and whether v is in it.
func (r *ranges) rank(v uint64) (uint64, bool) {
	k := sort.Search(len(r.spans), func(k int) bool { return r.spans[k].hi >= v })
	if k == len(r.spans) {
		return r.n, false
	}
	if v < r.spans[k].lo {
		return r.before[k], false
	}
	return r.before[k] + v - r.spans[k].lo, true
}

// within returns the spans of r cut to [lo, hi].
func (r *ranges) within(cut span) []span {
	k := sort.Search(len(r.spans), func(k int) bool { return r.spans[k].hi >= cut.lo })
	var out []span
	for ; k < len(r.spans) && r.spans[k].lo <= cut.hi; k++ {
		out = append(out, span{max(r.spans[k].lo, cut.lo), min(r.spans[k].hi, cut.hi)})
	}
	return out
}

func (r *ranges) intersect(o *ranges) ranges {
	var out []span
	for i, j := 0, 0; i < len(r.spans) && j < len(o.spans); {
		a, b := r.spans[i], o.spans[j]
		if lo, hi := max(a.lo, b.lo), min(a.hi, b.hi); lo <= hi {
			out = append(out, span{lo, hi})
		}
		if a.hi < b.hi {
			i++
		} else {
			j++
		}
	}
	return newRanges(out)
}

// minus returns r without the numbers of o.
func (r *ranges) minus(o *ranges) ranges {
	var out []span
	j := 0
	for _, s := range r.spans {
		for j < len(o.spans) && o.spans[j].hi < s.lo {
			j++
		}
		open := true
		for k := j; k < len(o.spans) && o.spans[k].lo <= s.hi; k++ {
			if o.spans[k].lo > s.lo {
				out = append(out, span{s.lo, o.spans[k].lo - 1})
			}
			if open = o.spans[k].hi < s.hi; !open {
				break
			}
			s.lo = o.spans[k].hi + 1
		}
		if open {
			out = append(out, s)
		}
	}
	return newRanges(out)
}
