package inventory

import (
	"context"
	"iter"
	"net/netip"
	"strings"

	"github.com/musterhq/muster"
)

// RunsFunc looks up targets of a stored run. run is "last", "last~N" or a job's
// id or the beginning of one; what is "all", "not_ok", the name of an outcome or a failure, or
// "reason=TEXT". It returns the run's frozen list and the indexes that match,
// ascending.
type RunsFunc func(ctx context.Context, run, what string) (muster.List, iter.Seq[int], error)

// cutRun reports whether what follows an @ names a stored run: last, last~2, or
// something that begins like a job's id, "261120-…".
func cutRun(name string) (run, what string, ok bool) {
	run, what, ok = strings.Cut(name, ":")
	if !ok {
		what = "all"
	}
	back, isLast := strings.CutPrefix(run, "last")
	switch {
	case isLast && (back == "" || back[0] == '~' && isDigits(back[1:])):
		return run, what, true
	case len(run) > 6 && isDigits(run[:6]) && run[6] == '-':
		return run, what, true
	}
	return "", "", false
}

// checkWhat returns the set that is meant, its quotes taken off.
func checkWhat(what string) (string, bool) {
	if reason, ok := strings.CutPrefix(what, "reason="); ok {
		if n := len(reason); n >= 2 && (reason[0] == '"' || reason[0] == '\'') && reason[n-1] == reason[0] {
			reason = reason[1 : n-1]
		}
		return "reason=" + reason, reason != ""
	}
	if what == "all" || what == "not_ok" {
		return what, true
	}
	for _, o := range muster.Outcomes() {
		if what == o.String() {
			return what, true
		}
	}
	for _, f := range muster.Failures() {
		if what == f.String() {
			return what, true
		}
	}
	return what, false
}

// run yields targets of a stored run as they were frozen then.
func (e *evaluator) run(ctx context.Context, s *scanner, t term, run, what string, yield yieldFunc) error {
	set, ok := checkWhat(what)
	if !ok {
		return s.errorf(t.at, "@%s:%s: want all, not_ok, ok, unexpected, failed, canceled, not_attempted, denied, invalid, lost, "+
			`a failure such as refused, or reason="…"`, run, what)
	}
	if e.runs == nil {
		return s.errorf(t.at, "@%s: there is no store of earlier runs here", run)
	}
	list, indexes, err := e.runs(ctx, run, set)
	if err != nil {
		return s.errorf(t.at, "@%s: %w", run, err)
	}
	for i := range indexes {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := yield(itemOf(list.At(i))); err != nil {
			return err
		}
	}
	return nil
}

// itemOf makes a target that was frozen before an item again.
func itemOf(t muster.Target, defect error) item {
	it := item{id: t.ID, err: defect, form: form{t.Scheme, t.Port, t.Path}, host: host{t.Host, t.Addr}}
	if it.form.path == "/" {
		it.form.path = ""
	}
	if !it.host.addr.IsValid() {
		it.host.addr, _ = netip.ParseAddr(t.Host)
	}
	if t.Labels != nil || t.Vars != nil || t.Off {
		it.meta = &meta{t.Labels, t.Vars, t.Off}
	}
	return it
}
