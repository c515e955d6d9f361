package extract

import (
	"errors"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// Judge applies an action's extract rules and its condition to results. It is
// immutable and safe for concurrent use.
type Judge struct {
	rules    []rule
	demands  []demand // Expect before Checks
	failures bool     // a condition names failure
	wants    wants
}

// Compile checks and compiles what a says about answers. own names the fields that the
// probe itself puts into results, which rules and the condition may use like
// extracted ones; of a name with dots ("cert.days_left") the part before the first is enough. All
// problems are reported at once, each of kind invalid, naming the rule or condition,
// the column, and what there is instead.
func Compile(a muster.Action, own ...string) (*Judge, error) {
	j := &Judge{}
	var errs []error
	names := roots(own)
	for _, x := range a.Extract {
		r, err := compileNext(x, names)
		errs = append(errs, err)
		names = append(names, x.Name)
		j.rules = append(j.rules, r)
		j.wants.add(r.wants)
	}
	errs = append(errs, j.compileDemands(a, names)...)
	if err := errors.Join(errs...); err != nil {
		return nil, &muster.Error{Kind: muster.KindInvalid, Err: err}
	}
	return j, nil
}

// roots returns what expressions call the named fields: the part before the first dot.
func roots(names []string) []string {
	var rs []string
	for _, name := range names {
		root, _, _ := strings.Cut(name, ".")
		if !slices.Contains(rs, root) {
			rs = append(rs, root)
		}
	}
	return rs
}

func compileNext(x muster.Extract, before []string) (rule, error) {
	if err := checkName(x.Name); err != nil {
		return rule{}, err
	}
	if slices.Contains(before, x.Name) {
		return rule{}, muster.Errorf(muster.KindInvalid, "extract %s: there is another field of that name", x.Name)
	}
	return compileRule(x, before)
}

// NeedsBody reports whether Apply looks at the body.
func (j *Judge) NeedsBody() bool { return j.wants.body }

// NeedsHeaders reports whether Apply looks at headers, which the probe must then keep.
func (j *Judge) NeedsHeaders() bool { return len(j.wants.headers) > 0 }

// Headers returns the headers that Apply looks at, sorted, in lower case; ["*"] is all
// of them, nil none.
func (j *Judge) Headers() []string { return slices.Clone(j.wants.headers) }

// Apply takes the fields out of r and judges it. It acts on answers, and on failures if the
// condition names failure; every other result stays as it is.
//
// Without a condition the probe's own outcome stays. With some, an answer that meets all of them
// is OK, and one that does not is Unexpected with the condition, or the check's name, as its reason, or "expect
// error: …" with the full message as detail when it cannot be evaluated. A failure that
// meets the condition is OK and keeps its detail as evidence; one that does not stays the
// failure it is. What became OK has no failure, no reason, and is not transient.
//
// The probe's own fields stand before the extracted ones. t and r are not kept.
func (j *Judge) Apply(t *muster.Target, r *muster.Result) {
	if len(j.demands) == 0 && len(j.rules) == 0 {
		return
	}
	if r.Outcome.Answered() || r.Outcome == muster.Failed && j.failures {
		j.judge(t, r)
	}
}

func (j *Judge) judge(t *muster.Target, r *muster.Result) {
	e := evidence{target: t, result: r}
	if len(j.rules) > 0 {
		r.Fields = slices.Grow(r.Fields, len(j.rules))
		for i := range j.rules {
			r.Fields = append(r.Fields, muster.Field{Name: j.rules[i].name, Value: j.rules[i].take(&e)})
		}
	}
	if len(j.demands) == 0 {
		return
	}
	broken, err := j.firstBroken(&e)
	failed := r.Outcome == muster.Failed
	switch {
	case broken == nil:
		r.Outcome, r.Failure, r.Reason, r.Transient = muster.OK, muster.NoFailure, "", false
		if !failed {
			r.Detail = ""
		}
	case failed:
	case err != nil:
		r.Outcome, r.Reason, r.Detail = muster.Unexpected, broken.what+" error: "+stable(err), err.Error()
	default:
		r.Outcome, r.Reason = muster.Unexpected, broken.reason
	}
}
