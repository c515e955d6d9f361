package nodeset

import (
	"math/bits"
	"slices"
)

// vectors makes the node of the gathered vectors. Where all varying axes fit in
// 64 bits together, as they do for host names, addresses and ports, a vector is
// packed into one word: sorting words is most of the work of folding.
func (gr *group) vectors(b *builder) *node {
	g := grower{b: b, first: gr.first, column: make([]int, len(gr.first)), lastColumn: len(gr.vary) - 1}
	if len(gr.vary) == 0 {
		return g.constant(0)
	}
	for axis := range g.column {
		g.column[axis] = slices.Index(gr.vary, axis)
	}
	g.tail = g.constant(gr.vary[g.lastColumn] + 1)
	if !g.pack(gr.data, len(gr.vary)) {
		g.sortRows(gr.data, len(gr.vary))
	}
	return g.grow(0, 0, g.rows)
}

// A grower builds the diagram of sorted, distinct rows.
type grower struct {
	b          *builder
	first      []uint64 // values of axes that do not vary
	column     []int    // of each axis, -1 if it does not vary
	lastColumn int
	tail       *node // below the last varying axis
	rows       int
	at         func(row, column int) uint64
}

// constant is the node of the axes from axis on, none of which varies.
func (g *grower) constant(axis int) *node {
	n := end
	for i := len(g.first) - 1; i >= axis; i-- {
		n = g.b.one(span{g.first[i], g.first[i]}, n)
	}
	return n
}

// grow makes the node of rows [lo,hi), which agree on all axes before axis.
func (g *grower) grow(axis, lo, hi int) *node {
	column := g.column[axis]
	if column < 0 {
		return g.b.one(span{g.first[axis], g.first[axis]}, g.grow(axis+1, lo, hi))
	}
	from := len(g.b.stack)
	for lo < hi {
		v, next := g.at(lo, column), lo+1
		child := g.tail
		if column < g.lastColumn {
			for next < hi && g.at(next, column) == v {
				next++
			}
			child = g.grow(axis+1, lo, next)
		}
		g.b.push(from, span{v, v}, child)
		lo = next
	}
	return g.b.pop(from)
}

// pack packs the rows in place, false if they need more than 64 bits.
func (g *grower) pack(data []uint64, width int) bool {
	low := slices.Clone(data[:width])
	high := slices.Clone(low)
	for row := range slices.Chunk(data, width) {
		for i, v := range row {
			low[i], high[i] = min(low[i], v), max(high[i], v)
		}
	}
	shift, mask, total := make([]int, width), make([]uint64, width), 0
	for i := range slices.Backward(shift) {
		n := bits.Len64(high[i] - low[i])
		shift[i], mask[i] = total, 1<<n-1
		total += n
	}
	if total > 64 {
		return false
	}
	packed := data[:0]
	for row := range slices.Chunk(data, width) {
		var word uint64
		for i, v := range row {
			word |= (v - low[i]) << shift[i]
		}
		packed = append(packed, word)
	}
	packed = sortedDistinct(packed)
	g.rows = len(packed)
	g.at = func(row, i int) uint64 { return low[i] + packed[row]>>shift[i]&mask[i] }
	return true
}

func sortedDistinct(words []uint64) []uint64 {
	if !slices.IsSorted(words) {
		slices.Sort(words)
	}
	return slices.Compact(words)
}

// sortRows is pack for vectors too wide for a word.
func (g *grower) sortRows(data []uint64, width int) {
	rows := slices.Collect(slices.Chunk(data, width))
	slices.SortFunc(rows, slices.Compare)
	rows = slices.CompactFunc(rows, slices.Equal)
	g.rows = len(rows)
	g.at = func(row, column int) uint64 { return rows[row][column] }
}
