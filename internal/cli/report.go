package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
	"github.com/musterhq/muster/rollup"
	"github.com/musterhq/muster/sink"
)

// flushEvery is how long a program that reads results waits for one, however slow the job.
const flushEvery = 200 * time.Millisecond

// report is what a run shows on standard output: lines while it runs, groups at its end.
type report struct {
	p      *Program
	flags  *outputFlags
	mu     sync.Mutex // guards out and what writes to it
	out    *bufio.Writer
	direct bool // a person is watching: every batch is shown at once
	colors sink.Colorizer
	sinks  sink.Tee
	jsonl  *sink.JSONL // among sinks, when there is one
	groups *grouping
	causes *causes // nil where they are not told
}

func newReport(s *session) (*report, error) {
	colors, err := sink.NewColorizer(s.req.output.color, s.p.Getenv, isTerminal(s.p.Out))
	if err != nil {
		return nil, err
	}
	r := &report{
		colors: colors,
		p:      s.p, flags: &s.req.output,
		out: bufio.NewWriterSize(s.out, 64<<10), direct: isTerminal(s.p.Out),
	}
	if r.groups, err = newGrouping(r.flags, r.flags.keys(), s.list, &s.spec.Action); err != nil {
		return nil, err
	}
	if r.flags.explains() {
		r.causes = &causes{}
	}
	return r, r.addSinks(&s.job)
}

func (r *report) addSinks(job *muster.Job) error {
	f := r.flags
	switch {
	case f.jsonl:
		r.jsonl = &sink.JSONL{W: r.out}
		r.sinks = append(r.sinks, r.jsonl)
	case f.csv:
		r.sinks = append(r.sinks, &sink.CSV{W: r.out, Fields: fieldNames(&job.Spec.Action)})
	case f.live() && f.display != "none":
		lines := &sink.Lines{W: r.out, Colors: r.colors, Raw: !r.direct, Own: ownFields(&job.Spec.Action)}
		r.sinks = append(r.sinks, &sink.Filter{To: lines, Display: sink.Display(f.display)})
	}
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o777); err != nil {
			return fmt.Errorf("--output-dir: %w", err)
		}
		r.sinks = append(r.sinks, &sink.Dir{Path: f.dir})
	}
	return nil
}

// fieldNames are the fields that results of the action may hold: the probe's own, then the extracted ones.
func fieldNames(a *muster.Action) []string {
	names := slices.Clone(ownFields(a))
	for _, e := range a.Extract {
		names = append(names, e.Name)
	}
	return names
}

// ownFields are the fields that the action's probe brings by itself.
func ownFields(a *muster.Action) []string {
	spec, err := probe.Decode(a.Probe, a.With)
	if err != nil {
		return nil // an action that cannot be read has no results
	}
	return probe.TraitsOf(spec).Fields
}

// write shows one batch and adds it to the groups.
func (r *report) write(ctx context.Context, batch []muster.Result) error {
	r.count(batch)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.sinks.Write(ctx, batch); err != nil {
		return err
	}
	if r.direct {
		return r.flush()
	}
	return nil
}

// keepFlushed hands on what waits in the buffer until ctx ends. An error is that of the next write.
func (r *report) keepFlushed(ctx context.Context) {
	if r.direct {
		return
	}
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.mu.Lock()
			r.out.Flush()
			r.mu.Unlock()
		}
	}
}

// count adds a batch to the groups after the output has broken.
func (r *report) count(batch []muster.Result) {
	r.groups.add(batch)
	if r.causes != nil {
		r.causes.add(batch)
	}
}

// finish writes what is known only at the end.
func (r *report) finish(job *muster.Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := []error{r.sum(job), r.sinks.Close(), r.flush()}
	return errors.Join(errs...)
}

func (r *report) sum(job *muster.Job) error {
	switch {
	case r.flags.json:
		return r.groups.summary(job).Write(r.out, r.groups.all())
	case r.jsonl != nil:
		return r.jsonl.Finish(r.groups.summary(job), r.groups.all())
	case r.flags.gather || len(r.flags.groupBy) > 0 || r.groups.slowest != nil:
		return r.p.printGroups(r.out, r.groups, r.flags)
	}
	return nil
}

// flush empties the buffer; a reader that has gone away is sink.ErrClosedPipe.
func (r *report) flush() error { return flush(r.out) }

func flush(out *bufio.Writer) error {
	if err := out.Flush(); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			return sink.ErrClosedPipe
		}
		return fmt.Errorf("write standard output: %w", err)
	}
	return nil
}

// grouping holds the rollups of one run.
type grouping struct {
	list    muster.List
	tables  []*rollup.Table
	targets bool // some table looks at the target itself
	numbers []*rollup.Numbers
	fields  []string // the probe's own come first
	own     int
	slowest *rollup.Slowest
}

func newGrouping(f *outputFlags, keys []string, list muster.List, a *muster.Action) (*grouping, error) {
	g := &grouping{list: list, fields: fieldNames(a), own: len(ownFields(a))}
	masks, err := rollup.ParseMasks(f.mask)
	if err != nil {
		return nil, usageError{err}
	}
	for _, key := range keys {
		by, err := rollup.ParseBy(key)
		if err != nil {
			return nil, usageError{err}
		}
		if name := by.Field(); name != "" && !hasField(g.fields, name) {
			return nil, usageError{fmt.Errorf("group by %q: there is no such key, and no --extract %[1]s=RULE", name)}
		}
		g.tables = append(g.tables, &rollup.Table{By: by, Masks: masks})
		g.targets = g.targets || by.NeedsTarget() || masks&rollup.MaskName != 0
	}
	for range g.fields {
		g.numbers = append(g.numbers, &rollup.Numbers{})
	}
	if f.slowest > 0 {
		g.slowest = &rollup.Slowest{N: f.slowest}
	}
	return g, nil
}

// hasField reports whether results may hold the named field: one of names, or a member of one.
func hasField(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == name || strings.HasPrefix(name, n+".") })
}

func (g *grouping) add(batch []muster.Result) {
	for i := range batch {
		r := &batch[i]
		var t *muster.Target
		if g.targets {
			if at, err := g.list.At(r.Index); err == nil {
				t = &at
			}
		}
		for _, table := range g.tables {
			table.Add(t, r)
		}
		for i, name := range g.fields {
			if v, ok := r.Field(name); ok {
				g.numbers[i].AddValue(v)
			}
		}
		if g.slowest != nil {
			g.slowest.Add(r)
		}
	}
}

// summary is the account without its groups.
func (g *grouping) summary(job *muster.Job) *sink.Summary {
	s := sink.NewSummary(job)
	s.Numbers = g.stats()
	if g.slowest != nil {
		s.Slowest = slowList(g.slowest)
	}
	return s
}

// all yields the groups of all tables.
func (g *grouping) all() iter.Seq[sink.Group] {
	return func(yield func(sink.Group) bool) {
		for _, t := range g.tables {
			for group := range sink.Groups(t, g.list) {
				if !yield(group) {
					return
				}
			}
		}
	}
}
