package nodeset

import "slices"

// operation is a set operation; the zero value is union.
type operation uint8

const (
	union operation = iota
	difference
	intersection
	symmetricDifference
)

// keepsLeft and keepsRight say what becomes of elements in one operand only.
func (op operation) keepsLeft() bool  { return op != intersection }
func (op operation) keepsRight() bool { return op == union || op == symmetricDifference }

// keepsBoth says what becomes of elements in both operands.
func (op operation) keepsBoth() bool { return op == union || op == intersection }

// combine applies op to two nodes of b. Shared parts are done once: the cost is
// at most the product of the two diagrams, and usually their sum.
func (b *builder) combine(op operation, x, y *node) *node {
	switch {
	case x == nil && y == nil:
		return nil
	case y == nil:
		return pick(op.keepsLeft(), x)
	case x == nil:
		return pick(op.keepsRight(), y)
	case x == y:
		return pick(op.keepsBoth(), x)
	}
	key := pair{op, x, y}
	if n, ok := b.memo[key]; ok {
		return n
	}
	n := b.sweep(op, x.edges, y.edges)
	if b.memo == nil {
		b.memo = make(map[pair]*node)
	}
	b.memo[key] = n
	return n
}

func pick(keep bool, n *node) *node {
	if keep {
		return n
	}
	return nil
}

// sweep walks two sorted lists of edges by the intervals in which neither changes.
func (b *builder) sweep(op operation, xs, ys []edge) *node {
	from := len(b.stack)
	var x, y edge // what is left of the current edges; nil child: none
	for !b.budget.exceeded() {
		if x.child == nil && len(xs) > 0 {
			x, xs = xs[0], xs[1:]
		}
		if y.child == nil && len(ys) > 0 {
			y, ys = ys[0], ys[1:]
		}
		if x.child == nil && y.child == nil {
			break
		}
		s, cx, cy := nextInterval(&x, &y)
		if c := b.combine(op, cx, cy); c != nil {
			b.push(from, s, c)
		}
	}
	return b.pop(from)
}

// nextInterval cuts the first interval off x and y and returns it with their
// children over it, nil for the one that does not cover it.
func nextInterval(x, y *edge) (s span, cx, cy *node) {
	switch {
	case y.child == nil:
		s, cx = x.span, x.child
	case x.child == nil:
		s, cy = y.span, y.child
	case x.lo < y.lo:
		s, cx = span{x.lo, min(x.hi, y.lo-1)}, x.child
	case y.lo < x.lo:
		s, cy = span{y.lo, min(y.hi, x.lo-1)}, y.child
	default:
		s, cx, cy = span{x.lo, min(x.hi, y.hi)}, x.child, y.child
	}
	if cx != nil {
		x.cut(s.hi)
	}
	if cy != nil {
		y.cut(s.hi)
	}
	return s, cx, cy
}

// cut removes the ranks up to hi; nothing left is the zero edge.
func (e *edge) cut(hi uint64) {
	if e.hi == hi {
		*e = edge{}
		return
	}
	e.lo = hi + 1
}

// unite is the union of many nodes, pairwise so that each is merged only
// logarithmically often.
func (b *builder) unite(nodes []*node) *node {
	for len(nodes) > 1 {
		half := nodes[:0:0]
		for pair := range slices.Chunk(nodes, 2) {
			n := pair[0]
			if len(pair) == 2 {
				n = b.combine(union, n, pair[1])
			}
			half = append(half, n)
		}
		nodes = half
	}
	if len(nodes) == 0 {
		return nil
	}
	return nodes[0]
}
