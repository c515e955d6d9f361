package cli

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/rollup"
	"github.com/musterhq/muster/sink"
)

// visible makes a text of several lines safe for a terminal.
func visible(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = sink.Visible(strings.TrimSuffix(l, "\r"))
	}
	return strings.Join(lines, "\n")
}

// shown is a text of one line as it goes to standard output: visible on a terminal, elsewhere as it
// is unless it would be more than a line.
func (p *Program) shown(s string) string {
	if isTerminal(p.Out) || strings.ContainsAny(s, "\r\n") {
		return sink.Visible(s)
	}
	return s
}

// gathered is how groups are laid out on standard output.
func (p *Program) gathered(w io.Writer, color string, diff bool) (*sink.Gathered, error) {
	terminal := isTerminal(p.Out)
	colors, err := sink.NewColorizer(color, p.Getenv, terminal)
	if err != nil {
		return nil, usageError{err}
	}
	out := &sink.Gathered{W: w, Colors: colors, Raw: !terminal, Diff: diff}
	if terminal {
		out.Width = terminalWidth(p.Out)
	} else if n, err := strconv.Atoi(p.Getenv("COLUMNS")); err == nil && n > 0 {
		out.Width = n // whoever exports it wants lines cut in files, too
	}
	return out, nil
}

// printGroups writes the rollups of a run for people.
func (p *Program) printGroups(w io.Writer, g *grouping, f *outputFlags) error {
	out, err := p.gathered(w, f.color, f.diff)
	if err != nil {
		return err
	}
	for _, t := range g.tables {
		if err := out.Table(t, g.list); err != nil {
			return err
		}
	}
	if numbers := g.telling(); len(numbers) > 0 {
		if err := out.Numbers(numbers); err != nil {
			return err
		}
	}
	if g.slowest == nil {
		return nil
	}
	return out.Slowest(slowList(g.slowest))
}

// telling leaves out what a probe counts by itself where that is the same for all targets.
func (g *grouping) telling() []sink.Number {
	return slices.DeleteFunc(g.stats(), func(n sink.Number) bool {
		return n.Min == n.Max && slices.Contains(g.fields[:g.own], n.Name)
	})
}

// stats summarises the extracted fields that are numbers.
func (g *grouping) stats() []sink.Number {
	var numbers []sink.Number
	for i, name := range g.fields {
		if g.numbers[i].Count() > 0 {
			numbers = append(numbers, sink.Number{Name: name, Stats: g.numbers[i].Stats()})
		}
	}
	return numbers
}

func slowList(s *rollup.Slowest) []sink.Slow {
	var list []sink.Slow
	for _, r := range s.List() {
		list = append(list, sink.Slow{Target: r.Target, Index: r.Index, MS: float64(r.Total) / float64(time.Millisecond)})
	}
	return list
}
