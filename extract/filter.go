package extract

import (
	"fmt"
	"slices"

	"github.com/musterhq/muster"
)

// Filter is a condition over stored results. It is immutable and safe for
// concurrent use.
type Filter struct{ x *expression }

// CompileFilter compiles a condition. Unlike that of an action it sees outcome, reason
// and failure as they were judged. fields are the names of the probe's own and the
// action's extracted fields, which may then stand alone, or by their first part as in [Compile];
// fields.NAME needs no mention and is nil where there is no such field.
func CompileFilter(text string, fields ...string) (*Filter, error) {
	x, err := compileExpression("filter", text, roots(fields), true)
	if err != nil {
		return nil, err
	}
	return &Filter{x}, nil
}

// NeedsBody reports whether Match looks at the body, which a store may hold elsewhere.
func (f *Filter) NeedsBody() bool { return f.x.wants.body }

// Headers returns the headers that Match looks at, as [Judge.Headers] does.
func (f *Filter) Headers() []string { return slices.Clone(f.x.wants.headers) }

// Match reports whether r, of whatever outcome, meets the condition. t may be nil when the
// target is not at hand: host, labels and vars are then empty. An error means
// that the condition cannot be evaluated on this result.
func (f *Filter) Match(t *muster.Target, r *muster.Result) (bool, error) {
	ok, err := f.x.holds(&evidence{target: t, result: r})
	if err != nil {
		return false, fmt.Errorf("filter %q on %s: %w", shorten(f.x.text), r.Target, err)
	}
	return ok, nil
}
