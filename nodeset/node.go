package nodeset

import "slices"

// A node is a set of index vectors as a decision diagram: each edge takes an
// interval of the first axis to the set of what may follow. Edges are sorted,
// disjoint, and neighbours with the same child are one edge. Within one set,
// equal nodes are one pointer, which makes the form canonical and lets a grid of
// a million names be a few nodes. Nodes are immutable.
type node struct {
	edges []edge
	size  uint64 // vectors below, saturating
	hash  uint64 // of the structure
}

type edge struct {
	span
	before uint64 // vectors below earlier edges, saturating
	child  *node
}

// end is the node below the last axis: the set of the empty vector. The nil
// node is the empty set.
var end = &node{size: 1}

// find returns the edge over rank r, or nil.
func (n *node) find(r uint64) *edge {
	i, _ := slices.BinarySearchFunc(n.edges, r, func(e edge, r uint64) int {
		if e.hi < r {
			return -1
		}
		return 1
	})
	if i == len(n.edges) || n.edges[i].lo > r {
		return nil
	}
	return &n.edges[i]
}

// edgeAt returns the edge that holds the vector at position i.
func (n *node) edgeAt(i uint64) int {
	k, _ := slices.BinarySearchFunc(n.edges, i, func(e edge, i uint64) int {
		if e.before <= i {
			return -1
		}
		return 1
	})
	return k - 1
}

// locate appends the vector at position i of n to ranks.
func (n *node) locate(i uint64, ranks []uint64) []uint64 {
	for n != end {
		e := &n.edges[n.edgeAt(i)]
		i -= e.before
		ranks = append(ranks, e.lo+i/e.child.size)
		i, n = i%e.child.size, e.child
	}
	return ranks
}

// position is the inverse of locate; false if the vector is not in the set.
func (n *node) position(ranks []uint64) (uint64, bool) {
	var at uint64
	for _, r := range ranks {
		e := n.find(r)
		if e == nil {
			return 0, false
		}
		at = satAdd(at, satAdd(e.before, satMul(r-e.lo, e.child.size)))
		n = e.child
	}
	return at, true
}

// A builder makes nodes and keeps equal ones single. It belongs to one
// operation and one goroutine.
type builder struct {
	unique map[uint64]*node
	taken  map[*node]*node
	memo   map[pair]*node
	stack  []edge
	budget *budget
}

type pair struct {
	op   operation
	a, b *node
}

// push adds an edge to the node whose edges start at stack[from:].
func (b *builder) push(from int, s span, child *node) {
	if last := len(b.stack) - 1; last >= from {
		if e := &b.stack[last]; e.child == child && e.hi+1 == s.lo {
			e.hi = s.hi
			return
		}
	}
	b.stack = append(b.stack, edge{span: s, child: child})
}

// pop makes the node of the edges at stack[from:] and removes them.
func (b *builder) pop(from int) *node {
	n := b.intern(b.stack[from:])
	b.stack = b.stack[:from]
	return n
}

// one is the node with a single edge.
func (b *builder) one(s span, child *node) *node {
	from := len(b.stack)
	b.push(from, s, child)
	return b.pop(from)
}

// line is the node of the spans, sorted and disjoint, that all lead to child.
func (b *builder) line(spans []span, child *node) *node {
	from := len(b.stack)
	for _, s := range spans {
		b.push(from, s, child)
	}
	return b.pop(from)
}

// grid is the node of a whole rectangle.
func (b *builder) grid(axes box) *node {
	n := end
	for _, spans := range slices.Backward(axes) {
		n = b.line(spans, n)
	}
	return n
}

// intern returns the one node with these edges, copying them if it is new.
func (b *builder) intern(edges []edge) *node {
	if len(edges) == 0 {
		return nil
	}
	h := hashEdges(edges)
	n, slot := b.lookup(h, edges)
	if n == nil {
		b.budget.spend(len(edges))
		n = &node{edges: slices.Clone(edges), hash: h}
		for i := range n.edges {
			e := &n.edges[i]
			e.before = n.size
			n.size = satAdd(n.size, satMul(e.hi-e.lo+1, e.child.size))
		}
		b.unique[slot] = n
	}
	return n
}

// lookup finds the node with these edges, or the free slot for it.
func (b *builder) lookup(h uint64, edges []edge) (*node, uint64) {
	if b.unique == nil {
		b.unique = make(map[uint64]*node)
	}
	for slot := h; ; slot++ {
		n := b.unique[slot]
		if n == nil || n.hash == h && sameEdges(n.edges, edges) {
			return n, slot
		}
	}
}

// take brings a node of another set in, so that equal nodes become one.
func (b *builder) take(n *node) *node {
	if n == nil || n == end {
		return n
	}
	if t, ok := b.taken[n]; ok {
		return t
	}
	from, moved := len(b.stack), false
	for _, e := range n.edges {
		c := b.take(e.child)
		moved = moved || c != e.child
		b.stack = append(b.stack, edge{span: e.span, child: c})
	}
	t, slot := b.lookup(n.hash, b.stack[from:])
	if t == nil && moved {
		t = b.intern(b.stack[from:])
	} else if t == nil {
		t = n
		b.unique[slot] = n
	}
	b.stack = b.stack[:from]
	if b.taken == nil {
		b.taken = make(map[*node]*node)
	}
	b.taken[n] = t
	return t
}

func sameEdges(a, b []edge) bool {
	return slices.EqualFunc(a, b, func(x, y edge) bool { return x.span == y.span && x.child == y.child })
}

func hashEdges(edges []edge) uint64 {
	h := uint64(len(edges)) * 0x9e3779b97f4a7c15
	for _, e := range edges {
		h = mix(h ^ e.lo)
		h = mix(h ^ e.hi)
		h = mix(h ^ e.child.hash)
	}
	return h
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
