package sink

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
)

// Gathered writes rollups for people. Bodies are gathered as clush -b does it:
//
//	---------------
//	web[1-40] (40)
//	---------------
//	nginx 1.27
//
// Everything else is a table: how many, their share, the key, who. The largest group comes
// first, and groups none of whose members is ok after the others. What one call writes is set
// apart by an empty line from what those before it wrote. Errors are those of sinks.
type Gathered struct {
	// W must be set.
	W io.Writer
	// Width is the terminal's; node sets are cut to it, those above bodies to four lines
	// of it. 0 cuts nothing.
	Width int
	// Colors colours headers and differences.
	Colors Colorizer
	// Raw leaves control characters and escape sequences in bodies and keys as they are.
	Raw bool
	// Diff shows, of all bodies but that of the largest group, the difference to it.
	Diff bool

	out   output
	buf   []byte
	wrote bool
}

const rule = "---------------"

// Table writes the groups of t, whose results belong to list.
func (g *Gathered) Table(t *rollup.Table, list muster.List) error {
	groups := t.Groups()
	g.begin(len(groups))
	total := 0
	for i := range groups {
		total += groups[i].Count
	}
	slices.SortStableFunc(groups, failedLast)
	var bodies, rest []rollup.Group
	for _, gr := range groups {
		if gr.Sample != nil {
			bodies = append(bodies, gr)
		} else {
			rest = append(rest, gr)
		}
	}
	for i := range bodies {
		g.body(&bodies[i], &bodies[0], list)
		if err := g.flush(flushAt); err != nil {
			return err
		}
	}
	if len(bodies) > 0 && len(rest) > 0 {
		g.buf = append(g.buf, '\n')
	}
	if len(rest) > 0 {
		g.rows(rest, total, list)
	}
	return g.flush(0)
}

// begin starts a section of n parts.
func (g *Gathered) begin(n int) {
	g.buf = g.buf[:0]
	if g.wrote && n > 0 {
		g.buf = append(g.buf, '\n')
	}
	g.wrote = g.wrote || n > 0
}

// flush writes what has been gathered if it is more than size.
func (g *Gathered) flush(size int) error {
	if len(g.buf) <= size {
		return g.out.err
	}
	err := g.out.write(g.W, g.buf)
	g.buf = g.buf[:0]
	return err
}

func failedLast(a, b rollup.Group) int {
	switch {
	case a.Failed == b.Failed:
		return 0
	case b.Failed:
		return -1
	}
	return 1
}

// body writes a header and the body that the members share, or its difference to the largest
// group's.
func (g *Gathered) body(gr, largest *rollup.Group, list muster.List) {
	head := gr.Nodes(list, 4*g.Width)
	if gr.Count > 1 {
		head += " (" + strconv.Itoa(gr.Count) + ")"
	}
	s := cyan
	if gr.Failed {
		s = yellow
		if _, why, ok := strings.Cut(gr.Key, " "); ok {
			head += " " + why
		}
	}
	for _, text := range []string{rule, head, rule} {
		g.styled(s, text)
		g.buf = append(g.buf, '\n')
	}
	if g.Diff && gr != largest {
		g.diff(rollup.Diff(largest.Sample, gr.Sample))
	} else {
		for l := range bytes.Lines(gr.Sample) {
			g.text(chomp(l))
			g.buf = append(g.buf, '\n')
		}
	}
	if gr.Cut {
		g.styled(faint, "(body cut)")
		g.buf = append(g.buf, '\n')
	}
}

func (g *Gathered) diff(text string) {
	for l := range bytes.Lines([]byte(text)) {
		s := plain
		switch l[0] {
		case '-':
			s = red
		case '+':
			s = green
		case '@':
			s = faint
		}
		g.styled(s, string(chomp(l)))
		g.buf = append(g.buf, '\n')
	}
}

// rows writes the groups as a table.
func (g *Gathered) rows(groups []rollup.Group, total int, list muster.List) {
	t := textTable{g: g, columns: []heading{{"COUNT", true}, {"SHARE", true}, {keyHeading(groups[0].By), false}, {"NODES", false}}}
	for _, gr := range groups {
		s := plain
		if gr.Failed {
			s = red
		}
		share := strconv.FormatFloat(100*float64(gr.Count)/float64(max(total, 1)), 'f', 1, 64) + "%"
		t.add(s, strconv.Itoa(gr.Count), share, g.shortKey(gr.Key), "")
	}
	used := t.width(3)
	for i := range groups {
		limit := 0
		if g.Width > 0 {
			limit = max(g.Width-used, 20)
		}
		t.rows[i].cells[3] = groups[i].Nodes(list, limit)
	}
	t.write()
}

// keyHeading is what was grouped by, in capitals when it is a word and not a rule.
func keyHeading(by string) string {
	if strings.Trim(strings.ToLower(by), "abcdefghijklmnopqrstuvwxyz._-0123456789") != "" {
		return oneLine(by)
	}
	return strings.ToUpper(by)
}

// shortKey is a key on one line, on terminals cut to a third of it.
func (g *Gathered) shortKey(key string) string {
	key = oneLine(key)
	widest := max(g.Width/3, 16)
	if g.Width == 0 || utf8.RuneCountInString(key) <= widest {
		return key
	}
	return string([]rune(key)[:widest-1]) + "…"
}

// Numbers writes a line per summarised field.
func (g *Gathered) Numbers(numbers []Number) error {
	g.begin(len(numbers))
	t := textTable{g: g, columns: []heading{
		{"NUMBER", false}, {"COUNT", true}, {"MIN", true}, {"MEDIAN", true}, {"P90", true}, {"P99", true}, {"MAX", true}, {"MEAN", true},
	}}
	for _, n := range numbers {
		t.add(plain, n.Name, strconv.Itoa(n.Count), short(n.Min), short(n.Median), short(n.P90), short(n.P99), short(n.Max), short(n.Mean))
	}
	t.write()
	return g.flush(0)
}

// Slowest writes a line per slow target.
func (g *Gathered) Slowest(slowest []Slow) error {
	g.begin(len(slowest))
	t := textTable{g: g, columns: []heading{{"MS", true}, {"SLOWEST", false}}}
	for _, s := range slowest {
		t.add(plain, short(s.MS), s.Target)
	}
	t.write()
	return g.flush(0)
}

// short writes a number with three decimals at most.
func short(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if len(s) > 15 || s == "" || s == "-" {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return s
}

func (g *Gathered) styled(s style, text string) {
	g.buf = g.Colors.open(g.buf, s)
	g.text([]byte(text))
	g.buf = g.Colors.close(g.buf, s)
}

func (g *Gathered) text(s []byte) {
	if g.Raw {
		g.buf = append(g.buf, s...)
		return
	}
	g.buf = appendVisible(g.buf, s)
}
