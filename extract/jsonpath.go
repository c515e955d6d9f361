package extract

import (
	"errors"
	"maps"
	"regexp"
	"slices"
)

// JSONPath is a query of RFC 9535. It is immutable and safe for concurrent use.
type JSONPath struct {
	text string
	q    query
}

// maxVisits bounds the nodes that one Find looks at.
const maxVisits = 2 << 20

var errTooManyNodes = errors.New("JSONPath: the query looks at more than 2 million nodes of this document")

// ParseJSONPath reads a query. What RFC 9535 calls not well-formed or not valid is
// an error of kind invalid that names the column. Two rulings beyond the RFC: a
// regular expression that is written in the query must compile, and may be
// any of RE2, of which I-Regexp is a part.
func ParseJSONPath(s string) (*JSONPath, error) {
	p := &pathParser{text: s}
	q, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &JSONPath{s, q}, nil
}

// String returns the query's text.
func (p *JSONPath) String() string { return p.text }

// Singular reports whether the query finds at most one node in any document
// (RFC 9535 §2.3.5.1).
func (p *JSONPath) Singular() bool { return p.q.singular() }

// Find returns the nodes of doc, a value as [DecodeJSON] returns it, in the RFC's
// order; members of an object, which has none, come sorted by name. The nodes
// belong to doc. The error means that the query was given up: it looked at more
// than two million nodes.
func (p *JSONPath) Find(doc any) ([]any, error) {
	s := &search{root: doc, left: maxVisits}
	nodes := s.find(p.q, doc)
	if s.left < 0 {
		return nil, errTooManyNodes
	}
	return nodes, nil
}

// query is a path from the root or, in filters, from the current node.
type query struct {
	relative bool
	segments []segment
}

type segment struct {
	descendant bool
	selectors  []selector
}

// selector appends the children of node that it selects to out.
type selector interface {
	apply(s *search, node any, out []any) []any
}

func (q query) singular() bool {
	for _, seg := range q.segments {
		if seg.descendant || len(seg.selectors) != 1 {
			return false
		}
		switch seg.selectors[0].(type) {
		case nameSelector, indexSelector:
		default:
			return false
		}
	}
	return true
}

// search is the state of one Find.
type search struct {
	root     any
	left     int // nodes that may still be looked at; negative ends the search
	patterns map[string]*regexp.Regexp
}

// spend counts n nodes and reports whether the search goes on.
func (s *search) spend(n int) bool {
	if s.left >= 0 {
		s.left -= n
	}
	return s.left >= 0
}

func (s *search) find(q query, current any) []any {
	start := s.root
	if q.relative {
		start = current
	}
	nodes := []any{start}
	for _, seg := range q.segments {
		var next []any
		for _, n := range nodes {
			if next = s.step(seg, n, next); s.left < 0 {
				return nil
			}
		}
		nodes = next
	}
	return nodes
}

// step applies a segment to node, and to all below it in the order of RFC 9535
// §2.5.2.2 when it is a descendant segment.
func (s *search) step(seg segment, node any, out []any) []any {
	if !s.spend(1) {
		return nil
	}
	for _, sel := range seg.selectors {
		out = sel.apply(s, node, out)
	}
	if seg.descendant {
		for child := range children(node) {
			if out = s.step(seg, child, out); s.left < 0 {
				return nil
			}
		}
	}
	return out
}

// children yields the elements of an array in order or the values of an object by name.
func children(node any) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		switch n := node.(type) {
		case []any:
			for _, v := range n {
				if !yield(v) {
					return
				}
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(n)) {
				if !yield(n[k]) {
					return
				}
			}
		}
	}
}

type (
	nameSelector     string
	indexSelector    int64
	wildcardSelector struct{}
	sliceSelector    struct {
		start, end *int64
		step       int64
	}
	filterSelector struct{ cond condition }
)

func (sel nameSelector) apply(_ *search, node any, out []any) []any {
	if m, ok := node.(map[string]any); ok {
		if v, ok := m[string(sel)]; ok {
			out = append(out, v)
		}
	}
	return out
}

func (sel indexSelector) apply(_ *search, node any, out []any) []any {
	a, _ := node.([]any)
	i := int64(sel)
	if i < 0 {
		i += int64(len(a))
	}
	if i >= 0 && i < int64(len(a)) {
		out = append(out, a[i])
	}
	return out
}

func (wildcardSelector) apply(s *search, node any, out []any) []any {
	for v := range children(node) {
		if !s.spend(1) {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (sel sliceSelector) apply(s *search, node any, out []any) []any {
	a, _ := node.([]any)
	n := int64(len(a))
	lower, upper := sel.bounds(n)
	if !s.spend(int(max(0, upper-lower) / max(1, sel.step, -sel.step))) {
		return nil
	}
	switch {
	case sel.step > 0:
		for i := lower; i < upper; i += sel.step {
			out = append(out, a[i])
		}
	case sel.step < 0:
		for i := upper; i > lower; i += sel.step {
			out = append(out, a[i])
		}
	}
	return out
}

// bounds follows RFC 9535 §2.3.4.2.2.
func (sel sliceSelector) bounds(n int64) (lower, upper int64) {
	normal := func(p *int64, def int64) int64 {
		switch {
		case p == nil:
			return def
		case *p < 0:
			return n + *p
		}
		return *p
	}
	if sel.step >= 0 {
		start, end := normal(sel.start, 0), normal(sel.end, n)
		return min(max(start, 0), n), min(max(end, 0), n)
	}
	start, end := normal(sel.start, n-1), normal(sel.end, -n-1)
	return min(max(end, -1), n-1), min(max(start, -1), n-1)
}

func (sel filterSelector) apply(s *search, node any, out []any) []any {
	for v := range children(node) {
		if !s.spend(1) {
			return nil
		}
		if sel.cond.holds(s, v) {
			out = append(out, v)
		}
	}
	return out
}
