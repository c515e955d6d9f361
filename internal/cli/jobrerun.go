package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/inventory"
)

// rerunFlags choose which targets of a run get its action again.
type rerunFlags struct {
	failed, unexpected, lost, notOK, all bool
	only                                 []string
}

func (f *rerunFlags) what() []string {
	var what []string
	for _, w := range f.only {
		if w == "not-ok" {
			w = "not_ok"
		}
		what = append(what, w)
	}
	for _, c := range []struct {
		on   bool
		name string
	}{{f.all, "all"}, {f.notOK, "not_ok"}, {f.failed, "failed"}, {f.unexpected, "unexpected"}, {f.lost, "lost"}} {
		if c.on {
			what = append(what, c.name)
		}
	}
	return what
}

func (p *Program) jobRerun() *cobra.Command {
	f, r := &rerunFlags{}, &request{}
	cmd := &cobra.Command{
		Use:   "rerun [RUN]",
		Short: "Send a run's action again to some of its targets",
		Long: `Sends the action of a stored run again, to those of its targets that ended in a certain
way. Action and plan are those of the stored run; flags given here replace single parts
of the plan. The new run is stored as one of its own.`,
		Example: `  muster job rerun last --failed
  muster job rerun 261120-1834 --not-ok --retries 2 --timeout 30s
  muster job rerun last --only refused --only 'reason=status 503'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.rerun(cmd, r, f, refOf(args)) },
	}
	var help sections
	help.add(cmd, "Which targets", func(fs *pflag.FlagSet) {
		fs.BoolVar(&f.failed, "failed", false, "targets that ended failed")
		fs.BoolVar(&f.unexpected, "unexpected", false, "targets that ended unexpected")
		fs.BoolVar(&f.lost, "lost", false, "targets that were lost")
		fs.BoolVar(&f.notOK, "not-ok", false, "all targets that did not end ok")
		fs.BoolVar(&f.all, "all", false, "all targets")
		fs.StringArrayVar(&f.only, "only", nil, "targets with this outcome, failure or reason: `WHAT` is lost, refused, 'reason=status 503'")
	})
	help.add(cmd, "How the work is spread (what is not given is as it was)", func(fs *pflag.FlagSet) {
		r.plan.add(fs)
		fs.Uint64Var(&r.targets.seed, "seed", 0, "seed of --canary and --order shuffle")
	})
	help.add(cmd, "What is shown", r.output.add)
	help.add(cmd, "What is kept", r.keep)
	return cmd
}

func (p *Program) rerun(cmd *cobra.Command, r *request, f *rerunFlags, ref string) error {
	what := f.what()
	if len(what) == 0 {
		return usageError{fmt.Errorf("which targets? --failed, --unexpected, --lost, --not-ok, --only WHAT or --all")}
	}
	var old muster.Job
	err := p.withStore(cmd.Context(), func(st *store.Store) (err error) {
		old, err = st.Job(cmd.Context(), ref)
		return err
	})
	if err != nil {
		return err
	}
	r.targets.stored = []inventory.Stored{{Run: old.ID, What: what}}
	spec := old.Spec
	if r.reason != "" {
		spec.Reason = r.reason
	}
	if err := r.override(&spec.Plan, cmd.Flags().Changed); err != nil {
		return err
	}
	return p.runSpec(cmd.Context(), r, spec, "")
}

// override replaces the parts of a stored plan whose flags were given.
func (r *request) override(p *muster.Plan, given func(flag string) bool) error {
	r.plan.seed = r.targets.seed
	n, err := r.plan.plan()
	if err != nil {
		return err
	}
	for _, part := range []struct {
		flag string
		copy func()
	}{
		{"fanout", func() { p.Fanout, p.FanoutFixed = n.Fanout, n.FanoutFixed }},
		{"rate", func() { p.Rate = n.Rate }},
		{"per-host", func() { p.PerHost = n.PerHost }},
		{"per-group", func() { p.PerGroup = n.PerGroup }},
		{"batch", func() { p.Batches = n.Batches }},
		{"canary", func() { p.Canary, p.CanaryMaxErrors = n.Canary, n.CanaryMaxErrors }},
		{"max-errors", func() { p.MaxErrors, p.SoftErrors = n.MaxErrors, n.SoftErrors }},
		{"retries", func() { p.Retries = n.Retries }},
		{"backoff", func() { p.Backoff = n.Backoff }},
		{"repeat", func() { p.Repeat = n.Repeat }},
		{"timeout", func() { p.Timeout = n.Timeout }},
		{"connect-timeout", func() { p.ConnectTimeout = n.ConnectTimeout }},
		{"deadline", func() { p.Deadline = n.Deadline }},
		{"order", func() { p.Shuffle = n.Shuffle }},
		{"seed", func() { p.Seed = n.Seed }},
		{"source", func() { p.Source = n.Source }},
		{"allow", func() { p.Allow = n.Allow }},
		{"deny", func() { p.Deny = n.Deny }},
		{"ipv4", func() { p.Family = n.Family }},
		{"ipv6", func() { p.Family = n.Family }},
	} {
		if given(part.flag) {
			part.copy()
		}
	}
	return p.Validate()
}

// runSpec freezes the targets of a spec and runs it.
func (p *Program) runSpec(ctx context.Context, r *request, spec muster.JobSpec, base string) error {
	if err := r.output.validate(); err != nil {
		return err
	}
	dialer, err := dial.FromPlan(&spec.Plan)
	if err != nil {
		return usageError{err}
	}
	list, err := p.freeze(ctx, r, base, dialer)
	if err != nil {
		return err
	}
	defer list.Close()
	spec.Selection = list.Describe()
	if r.targets.list {
		return p.printTargets(list)
	}
	return p.runList(ctx, r, spec, list, dialer)
}
