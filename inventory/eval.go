package inventory

import (
	"context"
	"slices"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/nodeset"
)

// evaluator turns expressions into items. It is used by one goroutine.
type evaluator struct {
	resolver nodeset.Resolver
	runs     RunsFunc
	open     []groupRef // groups being resolved, outermost first
	work     int        // group texts read so far
}

// yieldFunc takes an item; its error ends the evaluation.
type yieldFunc func(item) error

// expression is a text to evaluate, and where it comes from.
type expression struct {
	what   string // for messages: "targets", `group "web"`
	text   string
	source string // group source of names without one
}

// eval yields the items of an expression in order, duplicates included. A text
// without operators other than union costs no memory beyond its terms; the set on
// the right of any other is held in memory.
func (e *evaluator) eval(ctx context.Context, x expression, yield yieldFunc) error {
	s := &scanner{what: x.what, text: x.text}
	terms, plain := []term(nil), true
	for {
		t, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		terms = append(terms, t)
		plain = plain && t.op == ','
	}
	if plain {
		for _, t := range terms {
			if err := e.term(ctx, x, t, yield); err != nil {
				return err
			}
		}
		return nil
	}
	items, err := e.operate(ctx, x, terms)
	if err != nil {
		return err
	}
	for _, it := range items {
		if err := yield(it); err != nil {
			return err
		}
	}
	return nil
}

// operate applies the operators from left to right, as ClusterShell does.
func (e *evaluator) operate(ctx context.Context, x expression, terms []term) ([]item, error) {
	var items []item
	for len(terms) > 0 {
		// Terms behind a row of the same operator make one set: a!b!c drops b and c.
		op, n := terms[0].op, 1
		for (op == ',' || op == '!') && n < len(terms) && terms[n].op == op {
			n++
		}
		var right []item
		for _, t := range terms[:n] {
			err := e.term(ctx, x, t, func(it item) error { right = append(right, it); return nil })
			if err != nil {
				return nil, err
			}
		}
		var err error
		if items, err = combine(op, items, right); err != nil {
			return nil, (&scanner{what: x.what, text: x.text}).errorf(terms[0].at, "%w", err)
		}
		terms = terms[n:]
	}
	return items, nil
}

func combine(op byte, left, right []item) ([]item, error) {
	if op == ',' {
		return append(left, right...), nil
	}
	set, err := regionOf(right)
	if err != nil {
		return nil, err
	}
	if op != '^' {
		addFilter(left, filter{set: set, keep: op == '&'})
		return left, nil
	}
	other, err := regionOf(left)
	if err != nil {
		return nil, err
	}
	addFilter(left, filter{set: set})
	addFilter(right, filter{set: other})
	return append(left, right...), nil
}

func regionOf(items []item) (*region, error) {
	var r region
	for i := range items {
		if err := r.add(&items[i]); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

func addFilter(items []item, f filter) {
	for i := range items {
		items[i].filters = append(slices.Clip(items[i].filters), f)
	}
}

// term yields the items of one term.
func (e *evaluator) term(ctx context.Context, x expression, t term, yield yieldFunc) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s := &scanner{what: x.what, text: x.text}
	if t.text[0] == '@' {
		return e.reference(ctx, x, t, yield)
	}
	items, a, err := parseTerm(t.text)
	if err != nil {
		return s.errorIn(t.at, err)
	}
	if a.wildcard {
		return e.wildcard(ctx, x, t, a, yield)
	}
	for _, it := range items {
		if err := yield(it); err != nil {
			return err
		}
	}
	return nil
}

// maxListed bounds what an operation that must look at every host of a range will look at.
const maxListed = 1 << 20

// wildcard yields the known nodes that a pattern with * or ? matches.
func (e *evaluator) wildcard(ctx context.Context, x expression, t term, a address, yield yieldFunc) error {
	s := &scanner{what: x.what, text: x.text}
	if e.resolver == nil {
		return s.errorf(t.at, "%q: * and ? match the nodes of groups, and no groups are configured", a.host)
	}
	glob, err := newGlob(a.host)
	if err != nil {
		return s.errorIn(t.at, err)
	}
	return e.group(ctx, groupRef{x.source, allNodes}, s, t, func(it item) error {
		if it.len() > maxListed {
			return s.errorf(t.at, "%q has too many nodes to match", a.host)
		}
		for h := range it.hosts() {
			if !glob.match(h.name) || !it.passes(it.form, h, it.id) {
				continue
			}
			one, err := item{form: a.form, host: h, meta: it.meta}.onPorts(a.ports)
			if err != nil {
				return s.errorIn(t.at, err)
			}
			if a.ports == "" && a.form.scheme == "" {
				one[0].form = it.form
				one[0].form.path = a.form.path
			}
			for _, m := range one {
				if err := yield(m); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

var _ muster.List = (*Frozen)(nil)
