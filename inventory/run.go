package inventory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
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

// Stored names targets of one stored run, in the order of that run.
type Stored struct {
	// Run is "last", "last~N", a job's id or the beginning of one.
	Run string
	// What are the sets to unite: "all", "not_ok", the name of an outcome or a failure, or
	// "reason=TEXT". The text is the whole reason, whatever it holds; quotes belong to it.
	What []string
}

// Validate reports sets that do not exist.
func (s Stored) Validate() error {
	if s.Run == "" || len(s.What) == 0 {
		return muster.Errorf(muster.KindInvalid, "targets of a stored run: want a run and which of its targets: %s", whats)
	}
	var errs []error
	for _, what := range s.What {
		if !knownWhat(what) {
			errs = append(errs, muster.Errorf(muster.KindInvalid, "targets of run %s: %q: want %s", s.Run, what, whats))
		}
	}
	return errors.Join(errs...)
}

// String returns the sets as a term of a -w expression.
func (s Stored) String() string {
	var terms []string
	for _, what := range s.What {
		if reason, ok := strings.CutPrefix(what, "reason="); ok {
			what = "reason=" + strconv.Quote(reason)
		}
		terms = append(terms, "@"+s.Run+":"+what)
	}
	return strings.Join(terms, ",")
}

// whats lists what Stored.What may hold.
const whats = "all, not_ok, ok, unexpected, failed, canceled, not_attempted, denied, invalid, lost, " +
	`a failure such as refused, or reason="…"`

func knownWhat(what string) bool {
	if reason, ok := strings.CutPrefix(what, "reason="); ok {
		return reason != ""
	}
	var o muster.Outcome
	var f muster.Failure
	return what == "all" || what == "not_ok" ||
		what != "" && (o.UnmarshalText([]byte(what)) == nil || f.UnmarshalText([]byte(what)) == nil)
}

// unquoteWhat takes the quotes off a reason.
func unquoteWhat(what string) string {
	reason, ok := strings.CutPrefix(what, "reason=")
	if n := len(reason); ok && n >= 2 && (reason[0] == '"' || reason[0] == '\'') && reason[n-1] == reason[0] {
		return "reason=" + reason[1:n-1]
	}
	return what
}

// run yields targets of a stored run as they were frozen then.
func (e *evaluator) run(ctx context.Context, s *scanner, t term, run, what string, yield yieldFunc) error {
	set := unquoteWhat(what)
	if !knownWhat(set) {
		return s.errorf(t.at, "@%s:%s: want %s", run, what, whats)
	}
	list, indexes, err := e.find(ctx, Stored{run, []string{set}})
	if err != nil {
		return s.errorf(t.at, "%w", err)
	}
	return replay(ctx, list, indexes, yield)
}

// stored yields the targets that s names, each once.
func (e *evaluator) stored(ctx context.Context, s Stored, yield yieldFunc) error {
	list, indexes, err := e.find(ctx, s)
	if err != nil {
		return err
	}
	return replay(ctx, list, indexes, yield)
}

// find looks a run's list up, and which of its targets are meant, ascending.
func (e *evaluator) find(ctx context.Context, s Stored) (list muster.List, indexes iter.Seq[int], err error) {
	if e.runs == nil {
		return nil, nil, muster.Errorf(muster.KindInvalid, "@%s: there is no store of earlier runs here", s.Run)
	}
	var all []int
	for _, what := range s.What {
		if list, indexes, err = e.runs(ctx, s.Run, what); err != nil {
			return nil, nil, fmt.Errorf("@%s: %w", s.Run, err)
		}
		if len(s.What) == 1 {
			return list, indexes, nil
		}
		all = slices.AppendSeq(all, indexes)
	}
	slices.Sort(all)
	return list, slices.Values(slices.Compact(all)), nil
}

func replay(ctx context.Context, list muster.List, indexes iter.Seq[int], yield yieldFunc) error {
	for i := range indexes {
		if ctx.Err() != nil {
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
