package vars

import (
	"slices"

	"github.com/musterhq/muster"
)

// expression is one part of a pipeline. A value it cannot compute for want of a
// variable is missing, and the run remembers which.
type expression interface {
	eval(r *run) (value, error)
}

type literal struct {
	v      value
	secret bool
}

func (l literal) eval(*run) (value, error) { return l.v, nil }

func (ref reference) eval(r *run) (value, error) {
	v := ref.value(r.target)
	if v.kind == missing {
		r.missed = ref
	}
	return v, nil
}

// applied is a text function and its argument.
type applied struct {
	name string
	f    textFunc
	arg  expression
}

func (a *applied) eval(r *run) (value, error) {
	v, err := r.require(a.arg)
	if err != nil {
		return v, err
	}
	b, err := a.call(nil, v)
	if err != nil {
		return value{}, r.template.wrap(a.name, err)
	}
	return textValue(string(b)), r.charge(v.size() + len(b))
}

func (a *applied) call(dst []byte, v value) ([]byte, error) {
	if v.kind == mapping && a.name != "json" {
		return dst, errMapping
	}
	return a.f(dst, v)
}

// fallback is default D V.
type fallback struct{ def, arg expression }

func (f fallback) eval(r *run) (value, error) {
	v, err := f.arg.eval(r)
	if err != nil || v.kind != missing && (v.kind != text || v.s != "") {
		return v, err
	}
	return f.def.eval(r)
}

// logic is one of and, or, not; the first two stop at the argument that decides
// and yield it, as in text/template.
type logic struct {
	op   string
	args []expression
}

func (l logic) eval(r *run) (v value, err error) {
	for _, a := range l.args {
		if v, err = a.eval(r); err != nil {
			return v, err
		}
		if l.op == "not" {
			return boolValue(!v.isTrue()), nil
		}
		if v.isTrue() == (l.op == "or") {
			break
		}
	}
	return v, nil
}

// comparison is eq or ne.
type comparison struct {
	negate bool
	args   []expression
}

func (c comparison) eval(r *run) (value, error) {
	var texts []string
	for _, a := range c.args {
		v, err := r.require(a)
		if err == nil && v.kind == mapping {
			err = r.template.wrap("eq", errMapping)
		}
		if err == nil {
			err = r.charge(v.size())
		}
		if err != nil {
			return value{}, err
		}
		texts = append(texts, v.String())
	}
	return boolValue(slices.Contains(texts[1:], texts[0]) != c.negate), nil
}

// run is the state of one expansion in the general form.
type run struct {
	template *Template
	target   *muster.Target
	redact   bool
	dst      []byte
	spent    int       // bytes written and computed so far
	missed   reference // what the last missing value stood for
}

// require evaluates e and makes a missing value an error.
func (r *run) require(e expression) (value, error) {
	v, err := e.eval(r)
	if err == nil && v.kind == missing {
		err = missingError(r.template.name, r.missed, r.target)
	}
	return v, err
}

func (r *run) charge(n int) error {
	if r.spent += n; r.spent > MaxSize {
		return r.template.wrap("", errTooLarge)
	}
	return nil
}
