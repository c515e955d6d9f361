package cli

import (
	"bufio"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
)

// rollupFlags say how a stored run is grouped.
type rollupFlags struct {
	by     []string
	output outputFlags
	choose chooseFlags
}

func (p *Program) jobRollup() *cobra.Command {
	f := &rollupFlags{}
	cmd := &cobra.Command{
		Use: "rollup [RUN]", Short: "Group a stored run by any rule, without sending anything", Args: cobra.MaximumNArgs(1),
		Long: `Groups the results of a stored run by any key: status, code, outcome, failure, reason,
body, size, host, label:NAME, var:NAME, header:NAME, an extracted field, or an extract
rule such as re:PATTERN or json:$.path applied to the stored bodies.`,
		Example: `  muster job rollup last --by outcome
  muster job rollup last --by json:$.version
  muster job rollup last --by body --mask all --only ok`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withRun(cmd.Context(), refOf(args), func(o *opened) error { return p.rollup(cmd.Context(), o, f) })
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.by, "by", []string{"status"}, "group by this `KEY`")
	fs.StringVar(&f.output.mask, "mask", "none", "what bodies may differ in: `time,id,name`, all, none")
	fs.IntVar(&f.output.slowest, "slowest", 0, "list the `N` slowest targets")
	fs.BoolVar(&f.output.json, "json", false, "one JSON document")
	fs.StringVar(&f.output.color, "color", "auto", "colours: `auto|always|never`")
	f.choose.add(fs)
	return cmd
}

func (p *Program) rollup(ctx context.Context, o *opened, f *rollupFlags) error {
	g, err := newGrouping(&f.output, f.by, o.list, &o.job.Spec.Action)
	if err != nil {
		return err
	}
	bodies := slices.ContainsFunc(g.tables, func(t *rollup.Table) bool { return t.By.NeedsBody() })
	for r, err := range f.choose.chosen(ctx, o.st, &o.job, o.list, bodies) {
		if err != nil {
			return err
		}
		g.add([]muster.Result{r})
	}
	out := bufio.NewWriter(p.Out)
	if f.output.json {
		err = g.summary(&o.job).Write(out, g.all())
	} else {
		err = p.printGroups(out, g, &f.output)
	}
	if err != nil {
		return err
	}
	return flush(out)
}
