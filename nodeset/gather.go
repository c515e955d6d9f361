package nodeset

import (
	"bytes"
	"slices"
)

// A box is a rectangle: for each axis the spans, sorted and disjoint.
type box [][]span

// A gatherer collects names and boxes, in any order and with duplicates, and
// makes their union in one go.
type gatherer struct {
	groups map[string]*group
	last   *group
	key    []byte
	ranks  []uint64
}

// A group is what was gathered for one key. Vectors are kept relative to the
// first one: only axes which differ somewhere take room.
type group struct {
	key   string
	first []uint64 // nil until a vector was added
	vary  []int    // axes of which data has a column
	data  []uint64 // rows of len(vary) ranks
	boxes []box
}

func (g *gatherer) addName(name string) {
	if name == "" {
		return
	}
	g.key, g.ranks = scanName(name, g.key[:0], g.ranks[:0])
	g.group(g.key).addVector(g.ranks)
}

// group finds or makes the group of key. Names mostly come in runs of one key.
func (g *gatherer) group(key []byte) *group {
	if g.last != nil && bytes.Equal([]byte(g.last.key), key) {
		return g.last
	}
	if g.groups == nil {
		g.groups = make(map[string]*group)
	}
	found := g.groups[string(key)]
	if found == nil {
		found = &group{key: string(key)}
		g.groups[found.key] = found
	}
	g.last = found
	return found
}

// set is the union of what was gathered, which it lets go.
func (g *gatherer) set(b *builder) *Set {
	s := &Set{patterns: make([]pattern, 0, len(g.groups))}
	for _, gr := range g.groups {
		s.patterns = append(s.patterns, pattern{key: gr.key, root: gr.node(b)})
		*gr = group{} // a million patterns of one name each: do not hold both forms
	}
	g.groups, g.last = nil, nil
	s.sort()
	return s
}

func (gr *group) addVector(ranks []uint64) {
	if gr.first == nil {
		gr.first = append(make([]uint64, 0, len(ranks)), ranks...)
		if len(ranks) == 0 {
			return
		}
	}
	for axis, r := range ranks {
		if r != gr.first[axis] && !slices.Contains(gr.vary, axis) {
			gr.widen(axis)
		}
	}
	for _, axis := range gr.vary {
		gr.data = append(gr.data, ranks[axis])
	}
}

// widen gives axis a column and fills it, for the vectors so far, from the first.
func (gr *group) widen(axis int) {
	if len(gr.vary) == 0 {
		gr.vary, gr.data = []int{axis}, []uint64{gr.first[axis]}
		return
	}
	at, _ := slices.BinarySearch(gr.vary, axis)
	width := len(gr.vary)
	wide := make([]uint64, 0, 2*len(gr.data)/width*(width+1))
	for row := range slices.Chunk(gr.data, width) {
		wide = append(wide, row[:at]...)
		wide = append(wide, gr.first[axis])
		wide = append(wide, row[at:]...)
	}
	gr.vary, gr.data = slices.Insert(gr.vary, at, axis), wide
}

// node is the union of the vectors and boxes of the group.
func (gr *group) node(b *builder) *node {
	var n *node
	if gr.first != nil {
		n = gr.vectors(b)
	}
	if len(gr.boxes) == 0 {
		return n
	}
	if len(gr.boxes[0]) == 1 {
		return b.combine(union, n, b.line(gr.flat(), end))
	}
	nodes := make([]*node, 0, len(gr.boxes))
	for _, axes := range gr.boxes {
		nodes = append(nodes, b.grid(axes))
	}
	return b.combine(union, n, b.unite(nodes))
}

// flat merges one-dimensional boxes.
func (gr *group) flat() []span {
	var all []span
	for _, axes := range gr.boxes {
		all = append(all, axes[0]...)
	}
	return normalize(all)
}
