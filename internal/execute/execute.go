// Package execute is the one executor: it compiles a [muster.JobSpec] into
// something that can be checked, previewed and run over a frozen list. The command
// line uses it directly; it needs neither a broker nor a database.
package execute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/extract"
	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/probe"
)

// Surroundings are what a spec does not say and the running process knows.
type Surroundings struct {
	// Secret resolves references such as "env:NAME"; nil refuses specs with secrets.
	Secret func(ref string) (muster.Secret, error)
	// Dialer opens every socket; nil makes one from the plan.
	Dialer *dial.Dialer
	// FewHosts says that many targets share few servers, so that connections are kept.
	FewHosts bool
	// AcceptedHosts is the path of the file with the SSH host keys that were trusted on first use; "" keeps none.
	AcceptedHosts string
	// DiscardBodies says that nobody but the judge looks at bodies.
	DiscardBodies bool
}

// Work is a compiled job: all of its syntax has been checked, nothing has been sent.
type Work struct {
	plan   muster.Plan
	dialer *dial.Dialer
	prober muster.Prober
	judge  *extract.Judge
	safe   bool
	shared bool // attempts share few sockets
}

// Compile checks and compiles spec. Its errors are mistakes of the spec, of kind
// invalid where the user can mend them.
func Compile(spec muster.JobSpec, s Surroundings) (*Work, error) {
	if spec.Schema != muster.SpecVersion {
		return nil, muster.Errorf(muster.KindInvalid, "job spec of schema %d: this muster reads schema %d", spec.Schema, muster.SpecVersion)
	}
	ps, err := probe.Decode(spec.Action.Probe, spec.Action.With)
	if err != nil {
		return nil, err
	}
	traits := probe.TraitsOf(ps)
	judge, judgeErr := extract.Compile(spec.Action, traits.Fields...)
	if err := errors.Join(ps.Validate(), spec.Plan.Validate(), judgeErr); err != nil {
		return nil, err
	}
	w := &Work{plan: spec.Plan, dialer: s.Dialer, judge: judge, safe: ps.Safe(), shared: traits.SharedSockets}
	w.plan.Timeout = cmp.Or(w.plan.Timeout, muster.Duration(traits.Timeout))
	w.plan.Fanout = cmp.Or(w.plan.Fanout, traits.Fanout)
	if w.plan.Repeat == "" {
		w.plan.Repeat = repeatOf(ps)
	}
	if w.dialer == nil {
		if w.dialer, err = dial.FromPlan(&spec.Plan); err != nil {
			return nil, err
		}
	}
	w.prober, err = ps.Prober(probe.Env{
		Dialer: w.dialer, Timeout: w.plan.TimeoutOr(), ConnectTimeout: w.plan.ConnectTimeoutOr(),
		Repeat: w.plan.Repeat, KeepHeaders: judge.Headers(), Secret: s.Secret,
		AcceptedHosts: s.AcceptedHosts, ReuseHint: s.FewHosts, DiscardBody: s.DiscardBodies && !judge.NeedsBody(),
	})
	return w, err
}

func repeatOf(s probe.Spec) muster.Repeat {
	if s.Safe() {
		return muster.RepeatSafe
	}
	return muster.RepeatNever
}

// Repeat says whether the job's attempts may be repeated; never empty.
func (w *Work) Repeat() muster.Repeat { return w.plan.Repeat }

// Safe reports whether the probe itself only looks, whatever the plan says.
func (w *Work) Safe() bool { return w.safe }

// Check reports why t would end invalid or denied before anything is sent to it.
func (w *Work) Check(t *muster.Target) error {
	if c, ok := w.prober.(probe.Checker); ok {
		if err := c.Check(t); err != nil {
			return err
		}
	}
	if t.Addr.IsValid() {
		if denied := w.dialer.Check(t.Addr); denied != nil {
			return denied
		}
	}
	return nil
}

// Preview returns what would be sent to t as text, secrets redacted.
func (w *Work) Preview(t *muster.Target) (string, error) {
	p, ok := w.prober.(probe.Previewer)
	if !ok {
		return "", fmt.Errorf("%s: this probe has no preview", t.ID)
	}
	return p.Preview(t)
}

// Start prepares a run over list. reserve makes target numbers durable before they
// start; it is used only by jobs whose attempts must not be repeated, and may be nil.
func (w *Work) Start(list muster.List, reserve func(context.Context, []int) error) *fanout.Run {
	e := &fanout.Engine{
		Plan: w.plan, Reserve: reserve, Judge: w.judge.Apply,
	}
	if !w.shared {
		e.Sockets = func() (int, string) { return w.dialer.Headroom(list.Len()) }
	}
	return e.Start(list, w.prober)
}

// Close ends connections that were kept for further requests.
func (w *Work) Close() error {
	if c, ok := w.prober.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
