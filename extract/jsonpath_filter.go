package extract

import (
	"cmp"
	"encoding/json"
	"math/big"
	"strings"
)

// condition is a logical expression of a filter, tested at the current node.
type condition interface {
	holds(s *search, current any) bool
}

type (
	anyOf     []condition
	allOf     []condition
	negation  struct{ c condition }
	existence struct{ q query }
)

func (o anyOf) holds(s *search, current any) bool {
	for _, c := range o {
		if c.holds(s, current) {
			return true
		}
	}
	return false
}

func (a allOf) holds(s *search, current any) bool {
	for _, c := range a {
		if !c.holds(s, current) {
			return false
		}
	}
	return true
}

func (n negation) holds(s *search, current any) bool { return !n.c.holds(s, current) }

func (e existence) holds(s *search, current any) bool { return len(s.find(e.q, current)) > 0 }

// operand is a side of a comparison or a function's argument of type value. ok
// is false for the RFC's Nothing.
type operand interface {
	value(s *search, current any) (v any, ok bool)
}

type constant struct{ v any }

func (c constant) value(*search, any) (any, bool) { return c.v, true }

// value makes a singular query an operand.
func (q query) value(s *search, current any) (any, bool) {
	v := s.root
	if q.relative {
		v = current
	}
	for _, seg := range q.segments {
		var buf [1]any
		s.spend(1)
		found := seg.selectors[0].apply(s, v, buf[:0])
		if len(found) == 0 {
			return nil, false
		}
		v = found[0]
	}
	return v, true
}

// comparison is one of the six of RFC 9535 §2.3.5.2.2.
type comparison struct {
	op          string
	left, right operand
}

func (c comparison) holds(s *search, current any) bool {
	a, okA := c.left.value(s, current)
	b, okB := c.right.value(s, current)
	equal := func() bool { return okA == okB && (!okA || s.equal(a, b)) }
	less := func(a, b any) bool { return okA && okB && s.less(a, b) }
	switch c.op {
	case "==":
		return equal()
	case "!=":
		return !equal()
	case "<":
		return less(a, b)
	case ">":
		return less(b, a)
	case "<=":
		return less(a, b) || equal()
	}
	return less(b, a) || equal()
}

func (s *search) equal(a, b any) bool {
	if !s.spend(1) {
		return false
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !s.equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if v, ok := b[k]; !ok || !s.equal(a[k], v) {
				return false
			}
		}
		return true
	}
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b) == 0
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

// less orders numbers, and strings by Unicode scalar values; nothing else.
func (s *search) less(a, b any) bool {
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b) < 0
	}
	x, okX := a.(string)
	y, okY := b.(string)
	return okX && okY && strings.Compare(x, y) < 0
}

func isNumber(v any) bool {
	switch v.(type) {
	case float64, int64, json.Number:
		return true
	}
	return false
}

func compareNumbers(a, b any) int {
	if x, ok := a.(float64); ok {
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	return bigNumber(a).Cmp(bigNumber(b))
}

// bigNumber is exact for every integer of up to 1,200 digits; beyond 10^600,000,000
// numbers are infinite.
func bigNumber(v any) *big.Float {
	f := new(big.Float).SetPrec(4096)
	switch v := v.(type) {
	case float64:
		f.SetFloat64(v)
	case int64:
		f.SetInt64(v)
	case json.Number:
		if _, _, err := f.Parse(string(v), 10); err != nil {
			f.SetInf(v[0] == '-') // the syntax was checked, so it is the exponent
		}
	}
	return f
}
