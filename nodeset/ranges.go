package nodeset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An interval is one element of the text in brackets: first-last/step.
type interval struct {
	first, last, step uint64
	pad               int  // width of zero-padded bounds, 0 without padding
	negFirst, negLast bool // the bound is written with a minus sign
}

// A rangeError is a defect in the text in brackets.
type rangeError struct {
	offset int // of the element, from the start of the text
	part   string
	msg    string
	err    error
}

func (e *rangeError) Error() string { return fmt.Sprintf("range %q: %s", e.part, e.msg) }
func (e *rangeError) Unwrap() error { return e.err }

// parseIntervals reads "1-5,7,10-20/2".
func parseIntervals(text string) ([]interval, error) {
	var out []interval
	offset := 0
	for part := range strings.SplitSeq(text, ",") {
		iv, err := parseInterval(strings.Trim(part, " \t\n\v\f\r"))
		if err != nil {
			err.offset = offset
			return nil, err
		}
		out = append(out, iv)
		offset += len(part) + 1
	}
	return out, nil
}

func parseInterval(part string) (interval, *rangeError) {
	bad := func(msg string) (interval, *rangeError) { return interval{}, &rangeError{part: part, msg: msg} }
	if part == "" {
		return bad("an index is missing")
	}
	iv := interval{step: 1}
	bounds, step, stepped := strings.Cut(part, "/")
	if stepped {
		v, _, ok := parseIndex(step)
		if !ok || v == 0 {
			return bad("the step is not a positive number")
		}
		iv.step = v
	}
	first, last, isRange := cutBounds(bounds)
	if !isRange && iv.step != 1 {
		return bad("a step needs a range, as in 1-9/2")
	}
	first, iv.negFirst = strings.CutPrefix(first, "-")
	last, iv.negLast = strings.CutPrefix(last, "-")
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	var ok, ok2 bool
	var firstPad, lastPad int
	iv.first, firstPad, ok = parseIndex(first)
	iv.last, lastPad, ok2 = parseIndex(last)
	iv.pad = max(firstPad, lastPad)
	iv.negFirst, iv.negLast = iv.negFirst && iv.first > 0, iv.negLast && iv.last > 0
	switch {
	case !ok || !ok2:
		return bad(fmt.Sprintf("not a number of at most %d digits", maxDigits))
	case iv.pad > 0 && len(first) != len(last):
		return bad("bounds with leading zeros must have the same length")
	case iv.pad > 0 && bounds[0] == '-':
		return bad("negative indexes cannot have leading zeros")
	case !iv.ascending():
		return bad("the first index is greater than the last")
	}
	return iv, nil
}

// cutBounds splits a-b where both may have a sign; a lone index is both bounds.
func cutBounds(s string) (first, last string, isRange bool) {
	if s == "" {
		return s, s, false
	}
	i := strings.IndexByte(s[1:], '-')
	if i < 0 {
		return s, s, false
	}
	return strings.TrimSpace(s[:i+1]), strings.TrimSpace(s[i+2:]), true
}

// parseIndex reads digits; pad is their number if they have leading zeros.
func parseIndex(s string) (v uint64, pad int, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxDigits {
		return 0, 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, 0, false
		}
		v = 10*v + uint64(s[i]-'0')
	}
	if len(s) > 1 && s[0] == '0' {
		pad = len(s)
	}
	return v, pad, true
}

func (iv interval) ascending() bool {
	if iv.negFirst && iv.negLast {
		return iv.first >= iv.last
	}
	return iv.negFirst || !iv.negLast && iv.first <= iv.last
}

// split parts an interval at zero: the absolute values of its negative indexes,
// ascending, and the rest. Either may be empty.
func (iv interval) split() (negative, positive []interval) {
	if !iv.negFirst {
		return nil, []interval{iv}
	}
	lowest := uint64(1) // bound of the absolute values
	if iv.negLast {
		lowest = iv.last
	}
	lowest = iv.first - (iv.first-lowest)/iv.step*iv.step
	negative = []interval{{first: lowest, last: iv.first, step: iv.step}}
	next := iv.step - lowest
	if iv.negLast || next > iv.last {
		return negative, nil
	}
	return negative, []interval{{first: next, last: iv.last, step: iv.step}}
}

// spans turns intervals without sign into sorted, disjoint spans. Only steps are
// listed, at the expense of the budget.
func spans(ivs []interval, b *budget) ([]span, error) {
	var out []span
	for _, iv := range ivs {
		if iv.step == 1 {
			out = iv.appendSpans(out)
			continue
		}
		if !b.spendAll((iv.last-iv.first)/iv.step + 1) {
			return nil, fmt.Errorf("too many steps: %w", ErrTooLarge)
		}
		for v := iv.first; v <= iv.last; v += iv.step {
			r := rank(v, max(iv.pad, digitsOf(v)))
			out = append(out, span{r, r})
		}
	}
	return normalize(out), nil
}

// appendSpans appends one span for each width in an unpadded range.
func (iv interval) appendSpans(dst []span) []span {
	if iv.pad > 0 {
		return append(dst, span{rank(iv.first, iv.pad), rank(iv.last, iv.pad)})
	}
	first, to := iv.first, digitsOf(iv.last)
	for w := digitsOf(first); w < to; w++ {
		dst = append(dst, span{rank(first, w), rank(pow10[w]-1, w)})
		first = pow10[w]
	}
	return append(dst, span{rank(first, to), rank(iv.last, to)})
}

// normalize sorts and merges spans in place.
func normalize(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && s.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
			continue
		}
		out = append(out, s)
	}
	return out
}
