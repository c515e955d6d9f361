package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/rollup"
)

// diffFlags say what of two runs is compared.
type diffFlags struct {
	by, mask string
	json     bool
}

func (p *Program) jobDiff() *cobra.Command {
	f := &diffFlags{}
	cmd := &cobra.Command{
		Use: "diff [A] [B]", Short: "Show which targets are in another group than in an earlier run", Args: cobra.MaximumNArgs(2),
		Long: `Compares two stored runs target by target: which are in another group of --by than before,
and which are in one run only. Without arguments it compares the last run with the one
before it. Exit code 2 says that they differ.`,
		Example: `  muster job diff
  muster job diff last~3 last --by json:$.version
  muster job diff last~1 last --by body --mask time,id`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, b := "last~1", "last"
			if len(args) > 0 {
				a = args[0]
			}
			if len(args) > 1 {
				b = args[1]
			}
			return p.diff(cmd.Context(), f, a, b)
		},
	}
	cmd.Flags().StringVar(&f.by, "by", "status", "compare by this `KEY` (see muster job rollup)")
	cmd.Flags().StringVar(&f.mask, "mask", "none", "what bodies may differ in: `time,id,name`, all, none")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document")
	return cmd
}

func (p *Program) diff(ctx context.Context, f *diffFlags, a, b string) error {
	by, err := rollup.ParseBy(f.by)
	if err != nil {
		return usageError{fmt.Errorf("--by: %w", err)}
	}
	masks, err := rollup.ParseMasks(f.mask)
	if err != nil {
		return usageError{fmt.Errorf("--mask: %w", err)}
	}
	c := &rollup.Compare{By: by, Masks: masks}
	return p.withRun(ctx, a, func(before *opened) error {
		return p.withRun(ctx, b, func(after *opened) error {
			if err := feed(ctx, before, by.NeedsBody(), c.Before); err != nil {
				return err
			}
			if err := feed(ctx, after, by.NeedsBody(), c.After); err != nil {
				return err
			}
			return p.printDiff(f, before, after, c.Changes())
		})
	})
}

// feed gives every result of a run, with its target, to one side of a comparison.
func feed(ctx context.Context, o *opened, bodies bool, take func(*muster.Target, *muster.Result)) error {
	for r, err := range o.st.Results(ctx, o.job.ID, store.Query{ByIndex: true, Bodies: bodies}) {
		if err != nil {
			return err
		}
		if t, err := o.list.At(r.Index); err == nil {
			take(&t, &r)
		} else {
			take(nil, &r)
		}
	}
	return nil
}

// change is one line of a comparison.
type change struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
	Nodes string `json:"nodes"`
}

// comparison is the document of job diff --json.
type comparison struct {
	Schema     int      `json:"schema"`
	Before     string   `json:"before"`
	After      string   `json:"after"`
	By         string   `json:"by"`
	Same       int      `json:"same"`
	Changed    []change `json:"changed"`
	OnlyBefore change   `json:"only_before"`
	OnlyAfter  change   `json:"only_after"`
}

func (p *Program) printDiff(f *diffFlags, before, after *opened, c rollup.Changes) error {
	doc := comparison{Schema: 1, Before: before.job.ID, After: after.job.ID, By: f.by, Same: c.Same, Changed: []change{}}
	for _, ch := range c.Changed {
		doc.Changed = append(doc.Changed, change{ch.From, ch.To, ch.Count, ch.Members.Nodes(after.list, 0)})
	}
	doc.OnlyBefore = change{Count: c.OnlyBefore.Len(), Nodes: c.OnlyBefore.Nodes(before.list, 0)}
	doc.OnlyAfter = change{Count: c.OnlyAfter.Len(), Nodes: c.OnlyAfter.Nodes(after.list, 0)}
	out := bufio.NewWriter(p.Out)
	if f.json {
		if err := json.NewEncoder(out).Encode(doc); err != nil {
			return err
		}
	} else {
		doc.print(out, p.shown)
	}
	if err := flush(out); err != nil {
		return err
	}
	if len(doc.Changed) > 0 || doc.OnlyBefore.Count > 0 || doc.OnlyAfter.Count > 0 {
		return exitWith(exitNotOK)
	}
	return nil
}

func (c *comparison) print(w io.Writer, shown func(string) string) {
	fmt.Fprintf(w, "%s -> %s by %s: %d same\n", c.Before, c.After, shown(c.By), c.Same)
	for _, ch := range c.Changed {
		fmt.Fprintf(w, "%7d  %s -> %s  %s\n", ch.Count, shown(ch.From), shown(ch.To), shown(ch.Nodes))
	}
	if c.OnlyBefore.Count > 0 {
		fmt.Fprintf(w, "%7d  only in %s  %s\n", c.OnlyBefore.Count, c.Before, shown(c.OnlyBefore.Nodes))
	}
	if c.OnlyAfter.Count > 0 {
		fmt.Fprintf(w, "%7d  only in %s  %s\n", c.OnlyAfter.Count, c.After, shown(c.OnlyAfter.Nodes))
	}
}
