package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/sink"
)

// chooseFlags pick results of a stored run.
type chooseFlags struct {
	only   []string
	codes  []int
	where  string
	target []string
	limit  int
}

func (f *chooseFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.only, "only", nil, "results that are `WHAT`: an outcome, a failure, not_ok, or reason=TEXT")
	fs.IntSliceVar(&f.codes, "code", nil, "results with this status code")
	fs.StringVar(&f.where, "where", "", "results for which `CONDITION` holds: 'ms > 500 && body contains \"x\"'")
	fs.StringArrayVar(&f.target, "target", nil, "results of this target `ID`")
	fs.IntVarP(&f.limit, "limit", "n", 0, "at most this many (0: all)")
}

// chosen yields the results that the flags pick, in the order of the targets, each once. Bodies
// come along when asked for or when the condition looks at them.
func (f *chooseFlags) chosen(ctx context.Context, st *store.Store, job *muster.Job, list muster.List, bodies bool) iter.Seq2[muster.Result, error] {
	return func(yield func(muster.Result, error) bool) {
		filter, err := f.filter(job)
		if err != nil {
			yield(muster.Result{}, err)
			return
		}
		q, keep, err := selectAny(f.only)
		if err != nil {
			yield(muster.Result{}, usageError{err})
			return
		}
		q.ByIndex, q.Codes, q.Bodies = true, f.codes, bodies || filter != nil && filter.NeedsBody()
		n := 0
		for r, err := range st.Results(ctx, job.ID, q) {
			if err != nil {
				yield(r, err)
				return
			}
			if !keep(&r) || !f.isTarget(&r) || filter != nil && !match(filter, list, &r) {
				continue
			}
			if n++; !yield(r, nil) || n == f.limit {
				return
			}
		}
	}
}

func (f *chooseFlags) isTarget(r *muster.Result) bool {
	return len(f.target) == 0 || slices.Contains(f.target, r.Target)
}

func (f *chooseFlags) filter(job *muster.Job) (*extract.Filter, error) {
	if f.where == "" {
		return nil, nil
	}
	filter, err := extract.CompileFilter(f.where, fieldNames(&job.Spec.Action)...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--where: %w", err)}
	}
	return filter, nil
}

// match evaluates a condition on one result. A result on which it cannot be evaluated, such as
// one without the member it names, does not match.
func match(filter *extract.Filter, list muster.List, r *muster.Result) bool {
	t, err := list.At(r.Index)
	if err != nil {
		t = muster.Target{Index: r.Index, ID: r.Target}
	}
	ok, err := filter.Match(&t, r)
	return ok && err == nil
}

// opened is a stored run with all that its commands look at.
type opened struct {
	st   *store.Store
	job  muster.Job
	list muster.List
}

func (p *Program) withRun(ctx context.Context, ref string, use func(*opened) error) error {
	return p.withStore(ctx, func(st *store.Store) error {
		job, err := st.Job(ctx, ref)
		if err != nil {
			return err
		}
		list, err := st.List(ctx, job.ID)
		if err != nil {
			return err
		}
		if err := p.warnSpilled(ctx, st, job.ID); err != nil {
			return err
		}
		return use(&opened{st, job, list})
	})
}

// warnSpilled says when results are elsewhere: what is made without them is a half-truth.
func (p *Program) warnSpilled(ctx context.Context, st *store.Store, ref string) error {
	c, err := st.Counts(ctx, ref)
	if err == nil && c.Spilled > 0 {
		fmt.Fprintf(p.Err, "muster: %d results of run %s are not in the store but in %s\n", c.Spilled, ref, strings.Join(c.SpillPaths, ", "))
	}
	return err
}

func (p *Program) jobResults() *cobra.Command {
	f, format := &chooseFlags{}, &formatFlags{}
	cmd := &cobra.Command{
		Use: "results [RUN]", Short: "Print the results of a run, or those that match", Args: cobra.MaximumNArgs(1),
		Example: `  muster job results last --only failed
  muster job results last --where 'status == 200 && ms > 500' --jsonl
  muster job results last~1 --target web17:8080`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withRun(cmd.Context(), refOf(args), func(o *opened) error {
				return p.writeResults(cmd.Context(), o, f, format)
			})
		},
	}
	f.add(cmd.Flags())
	format.add(cmd.Flags())
	return cmd
}

func (p *Program) jobExport() *cobra.Command {
	f, format := &chooseFlags{}, &formatFlags{jsonl: true}
	cmd := &cobra.Command{
		Use: "export [RUN]", Short: "Write a run as JSON lines (with its summary) or CSV", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format.csv {
				format.jsonl = false
			}
			return p.withRun(cmd.Context(), refOf(args), func(o *opened) error {
				return p.writeResults(cmd.Context(), o, f, format)
			})
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&format.csv, "csv", false, "CSV instead of JSON lines")
	cmd.Flags().StringVarP(&format.dir, "output-dir", "o", "", "write each target's body to a file in this `DIR`")
	return cmd
}

// formatFlags say how results are printed.
type formatFlags struct {
	jsonl, csv bool
	dir        string
}

func (f *formatFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.jsonl, "jsonl", false, "a JSON line per result")
	fs.BoolVar(&f.csv, "csv", false, "CSV")
	fs.StringVarP(&f.dir, "output-dir", "o", "", "write each target's body to a file in this `DIR`")
}

// The bounds of what an export holds at once: bodies may be as large as --body-limit allows.
const (
	exportBatch = 500
	exportBytes = 4 << 20
)

// inBatches gathers results up to both bounds; the last of a batch may exceed that of bytes. A
// batch is the caller's until the next one. The error is the last pair.
func inBatches(results iter.Seq2[muster.Result, error]) iter.Seq2[[]muster.Result, error] {
	return func(yield func([]muster.Result, error) bool) {
		var batch []muster.Result
		size := 0
		for r, err := range results {
			if err != nil {
				yield(nil, err)
				return
			}
			batch, size = append(batch, r), size+len(r.Body)
			if len(batch) < exportBatch && size < exportBytes {
				continue
			}
			if !yield(batch, nil) {
				return
			}
			clear(batch) // lets go of the bodies
			batch, size = batch[:0], 0
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

func (p *Program) writeResults(ctx context.Context, o *opened, f *chooseFlags, format *formatFlags) error {
	out := bufio.NewWriterSize(p.Out, 64<<10)
	s, finish, err := p.resultSink(out, format, &o.job)
	if err != nil {
		return err
	}
	for batch, err := range inBatches(f.chosen(ctx, o.st, &o.job, o.list, true)) {
		if err != nil {
			return err
		}
		if err := s.Write(ctx, batch); err != nil {
			return err
		}
	}
	if err := finish(&o.job); err != nil {
		return err
	}
	return flush(out)
}

// resultSink builds what the format asks for; finish ends it.
func (p *Program) resultSink(out *bufio.Writer, f *formatFlags, job *muster.Job) (s muster.Sink, finish func(*muster.Job) error, err error) {
	var tee sink.Tee
	finish = func(*muster.Job) error { return tee.Close() }
	switch {
	case f.jsonl:
		lines := &sink.JSONL{W: out}
		tee = append(tee, lines)
		finish = func(j *muster.Job) error { return errors.Join(lines.Finish(sink.NewSummary(j), nil), tee.Close()) }
	case f.csv:
		tee = append(tee, &sink.CSV{W: out, Fields: fieldNames(&job.Spec.Action)})
	case f.dir == "":
		colors, err := sink.NewColorizer("auto", p.Getenv, isTerminal(p.Out))
		if err != nil {
			return nil, nil, err
		}
		tee = append(tee, &sink.Lines{W: out, Colors: colors, Raw: !isTerminal(p.Out), Own: ownFields(&job.Spec.Action)})
	}
	if f.dir != "" {
		tee = append(tee, &sink.Dir{Path: f.dir})
	}
	return tee, finish, nil
}
