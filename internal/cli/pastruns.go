package cli

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
)

// pastRuns answers @last:failed and the like from the store, which it opens when it is
// asked for the first time.
type pastRuns struct {
	p  *Program
	st *store.Store
}

func (r *pastRuns) close() {
	if r.st != nil {
		r.st.Close()
	}
}

// find is an inventory.RunsFunc.
func (r *pastRuns) find(ctx context.Context, run, what string) (muster.List, iter.Seq[int], error) {
	if r.st == nil {
		var err error
		if r.st, err = r.p.openStore(ctx); err != nil {
			return nil, nil, err
		}
	}
	job, err := r.st.Job(ctx, run) // once: "last" may be another one a moment later
	if err != nil {
		return nil, nil, err
	}
	if err := r.p.warnSpilled(ctx, r.st, job.ID); err != nil {
		return nil, nil, err
	}
	list, err := r.st.List(ctx, job.ID)
	if err != nil {
		return nil, nil, err
	}
	matching, err := r.matching(ctx, job.ID, what)
	return list, matching, err
}

// matching collects the indexes first: the caller has nowhere to put an error of the store
// that comes while it is reading them.
func (r *pastRuns) matching(ctx context.Context, run, what string) (iter.Seq[int], error) {
	q, keep, err := selectResults(what)
	if err != nil {
		return nil, err
	}
	q.ByIndex = true
	var indexes []int32
	for res, err := range r.st.Results(ctx, run, q) {
		if err != nil {
			return nil, err
		}
		if keep(&res) {
			indexes = append(indexes, int32(res.Index))
		}
	}
	return func(yield func(int) bool) {
		for _, i := range indexes {
			if !yield(int(i)) {
				return
			}
		}
	}, nil
}

// selectAny compiles several sets of a stored run to the results that are in any of them; none
// is all.
func selectAny(whats []string) (q store.Query, keep func(*muster.Result) bool, err error) {
	switch len(whats) {
	case 0:
		return selectResults("all")
	case 1:
		return selectResults(whats[0])
	}
	var keeps []func(*muster.Result) bool
	for _, what := range whats {
		_, keep, err := selectResults(what)
		if err != nil {
			return q, nil, err
		}
		keeps = append(keeps, keep)
	}
	return q, func(r *muster.Result) bool {
		return slices.ContainsFunc(keeps, func(keep func(*muster.Result) bool) bool { return keep(r) })
	}, nil
}

// selectResults compiles what a set of a stored run is called: "all", an outcome, a failure,
// "not_ok", or "reason=TEXT", whose text is taken as it is. keep alone decides; q spares the
// store what keep would not take.
func selectResults(what string) (q store.Query, keep func(*muster.Result) bool, err error) {
	if reason, ok := strings.CutPrefix(what, "reason="); ok && reason != "" {
		return q, func(r *muster.Result) bool { return r.Reason == reason }, nil
	}
	switch what {
	case "": // the zero outcome and failure
	case "all":
		return q, func(*muster.Result) bool { return true }, nil
	case "not_ok", "not-ok":
		q.Outcomes = muster.Outcomes()[1:]
		return q, func(r *muster.Result) bool { return r.Outcome != muster.OK }, nil
	default:
		var o muster.Outcome
		if o.UnmarshalText([]byte(what)) == nil {
			q.Outcomes = []muster.Outcome{o}
			return q, func(r *muster.Result) bool { return r.Outcome == o }, nil
		}
		var f muster.Failure
		if f.UnmarshalText([]byte(what)) == nil {
			q.Failures = []muster.Failure{f}
			return q, func(r *muster.Result) bool { return r.Failure == f }, nil
		}
	}
	return q, nil, muster.Errorf(muster.KindInvalid, "%q: want all, not_ok, an outcome (ok, unexpected, failed, …), a failure (refused, timeout, …) or reason=TEXT", what)
}
