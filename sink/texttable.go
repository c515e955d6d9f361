package sink

import "unicode/utf8"

// textTable is a table of aligned columns, two spaces apart; the last column is not padded.
type textTable struct {
	g       *Gathered
	columns []heading
	rows    []textRow
}

type heading struct {
	name  string
	right bool // numbers
}

type textRow struct {
	style style // of all but the last column
	cells []string
}

func (t *textTable) add(s style, cells ...string) {
	for i, c := range cells {
		if !t.g.Raw {
			cells[i] = string(appendVisible(nil, c)) // so that it is as wide as it looks
		}
	}
	t.rows = append(t.rows, textRow{s, cells})
}

// columnWidth returns the width of column i.
func (t *textTable) columnWidth(i int) int {
	w := utf8.RuneCountInString(t.columns[i].name)
	for _, r := range t.rows {
		w = max(w, utf8.RuneCountInString(r.cells[i]))
	}
	return w
}

// width returns what the first n columns take, with the space behind each.
func (t *textTable) width(n int) int {
	w := 0
	for i := range n {
		w += t.columnWidth(i) + 2
	}
	return w
}

func (t *textTable) write() {
	if len(t.rows) == 0 {
		return
	}
	widths := make([]int, len(t.columns))
	head := textRow{style: bold}
	for i, c := range t.columns {
		widths[i] = t.columnWidth(i)
		head.cells = append(head.cells, c.name)
	}
	t.row(head, widths)
	for _, r := range t.rows {
		t.row(r, widths)
	}
}

func (t *textTable) row(r textRow, widths []int) {
	g := t.g
	for i, cell := range r.cells {
		last := i == len(r.cells)-1
		s := r.style
		if last && s != bold {
			s = plain
		}
		pad := widths[i] - utf8.RuneCountInString(cell)
		if t.columns[i].right {
			g.pad(pad)
		}
		g.buf = g.Colors.open(g.buf, s)
		g.buf = append(g.buf, cell...)
		g.buf = g.Colors.close(g.buf, s)
		if !last {
			if !t.columns[i].right {
				g.pad(pad)
			}
			g.pad(2)
		}
	}
	g.buf = append(g.buf, '\n')
}

func (g *Gathered) pad(n int) {
	for range n {
		g.buf = append(g.buf, ' ')
	}
}
