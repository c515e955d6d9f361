package vars

import (
	"errors"

	"github.com/musterhq/muster"
)

var (
	errTooLarge = errors.New("expands to more than 16 MiB")
	errMapping  = errors.New("a map is no text: name one entry, as in .labels.env, or use json")
)

func (t *Template) wrap(what string, err error) error {
	if what == "" {
		return muster.Errorf(muster.KindInvalid, "%s: %w", t.name, err)
	}
	return muster.Errorf(muster.KindInvalid, "%s: %s: %w", t.name, what, err)
}

// piece is some text followed by at most one variable through at most one
// function. Templates made of these, nearly all, expand without a [run].
type piece struct {
	text string
	ref  reference
	fn   *applied // nil writes the variable as it is
	none bool     // there is no variable
}

func (t *Template) appendPieces(dst []byte, tg *muster.Target) ([]byte, error) {
	start := dst
	for i := range t.pieces {
		p := &t.pieces[i]
		dst = append(dst, p.text...)
		if !p.none {
			var err error
			if dst, err = t.appendVariable(dst, p, tg); err != nil {
				return start, err
			}
		}
		if len(dst)-len(start) > MaxSize {
			return start, t.wrap("", errTooLarge)
		}
	}
	return dst, nil
}

func (t *Template) appendVariable(dst []byte, p *piece, tg *muster.Target) ([]byte, error) {
	v := p.ref.value(tg)
	if v.kind == missing {
		return dst, missingError(t.name, p.ref, tg)
	}
	if p.fn == nil {
		if v.kind == mapping {
			return dst, t.wrap(p.ref.String(), errMapping)
		}
		return v.appendText(dst), nil
	}
	dst, err := p.fn.call(dst, v)
	if err != nil {
		return dst, t.wrap(p.fn.name+" "+p.ref.String(), err)
	}
	return dst, nil
}

// node is a part of a template in the general form.
type node interface {
	write(r *run) error
}

// plain is literal text.
type plain string

func (p plain) write(r *run) error {
	r.dst = append(r.dst, p...)
	return r.charge(len(p))
}

// output writes a pipeline's value.
type output struct {
	e      expression
	secret bool
}

func (o output) write(r *run) error {
	v, err := r.require(o.e)
	if err != nil {
		return err
	}
	if v.kind == mapping {
		return r.template.wrap("", errMapping)
	}
	if o.secret && r.redact {
		v = textValue(muster.Secret{}.String())
	}
	before := len(r.dst)
	r.dst = v.appendText(r.dst)
	return r.charge(len(r.dst) - before)
}

// branch is if, with else and else if in its second list.
type branch struct {
	cond      expression
	then, not []node
}

func (b branch) write(r *run) error {
	v, err := b.cond.eval(r)
	if err != nil {
		return err
	}
	if v.isTrue() {
		return r.write(b.then)
	}
	return r.write(b.not)
}

func (r *run) write(ns []node) error {
	for _, n := range ns {
		if err := n.write(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Template) appendNodes(dst []byte, tg *muster.Target, redact bool) ([]byte, error) {
	r := &run{template: t, target: tg, redact: redact, dst: dst}
	if err := r.write(t.nodes); err != nil {
		return dst, err
	}
	return r.dst, nil
}
