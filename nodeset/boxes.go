package nodeset

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// maxArranged bounds the rectangles for which better arrangements are tried.
// More of them are no longer read by people, and folding stays linear.
const maxArranged = 10_000

// rectangles covers n by disjoint boxes, few if they can be found cheaply, the
// largest first.
func rectangles(n *node, axes int) []box {
	if n.size == 1 {
		return []box{n.single(axes)}
	}
	boxes := n.boxes(nil, nil)
	if len(boxes) > 1 && len(boxes) <= maxArranged && axes > 1 {
		if turned := reversed(boxes); len(turned) < len(boxes) {
			boxes = turned
		}
		boxes = merge(boxes, axes)
	}
	slices.SortStableFunc(boxes, compareBoxes)
	return boxes
}

// single is the box of a node with one vector.
func (n *node) single(axes int) box {
	spans, b := make([]span, 0, axes), make(box, 0, axes)
	for ; n != end; n = n.edges[0].child {
		spans = append(spans, n.edges[0].span)
		b = append(b, spans[len(spans)-1:])
	}
	return b
}

// boxes appends the boxes of n: edges with one child share theirs.
func (n *node) boxes(prefix box, dst []box) []box {
	if n == end {
		return append(dst, slices.Clone(prefix))
	}
	children, axis := n.byChild()
	for k, child := range children {
		dst = child.boxes(append(prefix, axis[k]), dst)
	}
	return dst
}

// byChild lists the distinct children of n and the spans that lead to each.
func (n *node) byChild() ([]*node, [][]span) {
	first := n.edges[0].child
	if !slices.ContainsFunc(n.edges, func(e edge) bool { return e.child != first }) {
		spans := make([]span, len(n.edges))
		for i, e := range n.edges {
			spans[i] = e.span
		}
		return []*node{first}, [][]span{spans}
	}
	at := make(map[*node]int)
	var children []*node
	var axis [][]span
	for _, e := range n.edges {
		k, ok := at[e.child]
		if !ok {
			k = len(children)
			at[e.child] = k
			children, axis = append(children, e.child), append(axis, nil)
		}
		axis[k] = append(axis[k], e.span)
	}
	return children, axis
}

// reversed covers the same set by the diagram that begins with the last axis: a
// few ports with many different hosts each fold better that way.
func reversed(boxes []box) []box {
	var b builder
	nodes := make([]*node, 0, len(boxes))
	for _, axes := range boxes {
		turned := slices.Clone(axes)
		slices.Reverse(turned)
		nodes = append(nodes, b.grid(turned))
	}
	turned := b.unite(nodes).boxes(nil, nil)
	for _, axes := range turned {
		slices.Reverse(axes)
	}
	return turned
}

// merge joins boxes which differ in one axis only, until there are none.
func merge(boxes []box, axes int) []box {
	for changed := true; changed; {
		changed = false
		for axis := range axes {
			joined := mergeAxis(boxes, axis)
			changed = changed || len(joined) < len(boxes)
			boxes = joined
		}
	}
	return boxes
}

func mergeAxis(boxes []box, axis int) []box {
	at := make(map[string]int, len(boxes))
	out := boxes[:0:0]
	var key []byte
	for _, axes := range boxes {
		key = key[:0]
		for i, spans := range axes {
			if i == axis {
				continue
			}
			key = binary.AppendUvarint(key, uint64(len(spans)))
			for _, s := range spans {
				key = binary.AppendUvarint(binary.AppendUvarint(key, s.lo), s.hi)
			}
		}
		k, ok := at[string(key)]
		if !ok {
			at[string(key)] = len(out)
			out = append(out, axes)
			continue
		}
		joined := slices.Clone(out[k])
		joined[axis] = normalize(slices.Concat(out[k][axis], axes[axis]))
		out[k] = joined
	}
	return out
}

// compareBoxes is ClusterShell's order: more names first, then, axis by axis,
// more indexes, a lower first and a lower last index.
func compareBoxes(a, b box) int {
	if c := cmp.Compare(b.size(), a.size()); c != 0 {
		return c
	}
	for i := range a {
		x, y := a[i], b[i]
		c := cmp.Or(
			cmp.Compare(count(y), count(x)),
			cmp.Compare(x[0].lo, y[0].lo),
			cmp.Compare(x[len(x)-1].hi, y[len(y)-1].hi))
		if c != 0 {
			return c
		}
	}
	return 0
}

// size is the number of names in the box, saturating.
func (axes box) size() uint64 {
	n := uint64(1)
	for _, spans := range axes {
		n = satMul(n, count(spans))
	}
	return n
}
