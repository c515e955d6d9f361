package nodeset

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// An operand reads one operand of an expression: literals, indexes, brackets.
type operand struct {
	session *session
	scope   scope
	text    string
	pos     int

	start    int
	key      []byte // with "%*" and "%?" for wildcards
	holes    []hole
	url      urlState
	digits   []byte   // pending run of digits
	bracket  *bracket // just closed, digits may follow
	group    bool     // begins with @
	wildcard bool
	escaped  bool // has an escaped bracket, which may turn out to be an address
}

// A hole is an index or a bracket in the key.
type hole struct {
	at       int    // of "%s" in the key
	spans    []span // sorted, disjoint
	negative []span // absolute values of negative indexes
}

func (o *operand) fail(at int, msg string) *SyntaxError {
	return &SyntaxError{Input: o.text, Offset: at, Msg: msg}
}

func (o *operand) tooLarge(at int) *SyntaxError {
	return &SyntaxError{Input: o.text, Offset: at, Msg: ErrTooLarge.Error(), Err: ErrTooLarge}
}

// read reads the operand at pos and hands it to ev.
func (o *operand) read(ctx context.Context, ev *evaluator) error {
	o.start, o.key, o.holes = o.pos, o.key[:0], o.holes[:0]
	o.url, o.digits, o.bracket = urlState{}, o.digits[:0], nil
	o.group, o.wildcard, o.escaped = o.text[o.pos] == '@' && !o.scope.literal, false, false
	for o.pos < len(o.text) && !o.ends() {
		if err := o.next(); err != nil {
			return err
		}
	}
	if err := o.endDigits(); err != nil {
		return err
	}
	switch {
	case o.group:
		return o.readGroups(ctx, ev)
	case o.wildcard:
		return o.readWildcard(ctx, ev)
	case o.escaped:
		return o.readNames(ev)
	}
	return o.gather(&ev.pending)
}

func (o *operand) ends() bool {
	c := o.text[o.pos]
	return isSpace(c) || isOperator(c) && !o.url.inPath()
}

// next reads one element at pos.
func (o *operand) next() error {
	c := o.text[o.pos]
	inPath := o.url.inPath()
	switch {
	case c == '\\':
		if o.pos+1 == len(o.text) {
			return o.fail(o.pos, `nothing follows "\"`)
		}
		o.escaped = o.escaped || o.text[o.pos+1] == '[' && !inPath
		o.pos += 2
		return o.literal(o.text[o.pos-1])
	case inPath:
	case c == '[':
		return o.openBracket()
	case c == ']':
		return o.fail(o.pos, `bracket "]" closes nothing`)
	case c == '*' || c == '?' && !o.url.inHost():
		if !o.group && !o.scope.literal {
			return o.wild(c)
		}
	}
	o.pos++
	return o.literal(c)
}

// literal takes a byte of the name.
func (o *operand) literal(c byte) error {
	if isDigit(c) && !o.url.inPath() {
		o.digits = append(o.digits, c)
		return nil
	}
	if err := o.endDigits(); err != nil {
		return err
	}
	o.url.feed(c)
	o.key = appendKeyByte(o.key, c)
	return nil
}

func (o *operand) wild(c byte) error {
	if err := o.endDigits(); err != nil {
		return err
	}
	o.pos++
	o.wildcard = true
	o.url.interrupt()
	o.key = append(o.key, '%', c)
	return nil
}

// openBracket reads an address or the text of a range up to its bracket.
func (o *operand) openBracket() error {
	at := o.pos
	if n := addressLen(o.text[at:]); n > 0 {
		if err := o.endDigits(); err != nil {
			return err
		}
		o.url.interrupt()
		o.key = appendKey(o.key, o.text[at:at+n])
		o.pos += n
		return nil
	}
	if len(o.holes) == maxAxes {
		return o.fail(at, fmt.Sprintf("more than %d indexes in a name", maxAxes))
	}
	if o.bracket != nil {
		return o.fail(at, `two ranges follow each other: put a separator before "["`)
	}
	text, _, ok := strings.Cut(o.text[at+1:], "]")
	if !ok {
		return o.fail(at, "bracket not closed")
	}
	o.bracket = &bracket{offset: at + 1, text: text, leading: string(o.digits)}
	o.digits = o.digits[:0]
	o.pos = at + len(text) + 2
	return nil
}

// endDigits ends a run of digits, with the bracket in it if there is one.
func (o *operand) endDigits() error {
	digits := o.digits
	o.digits = o.digits[:0]
	switch {
	case o.bracket != nil:
		h, err := o.bracket.hole(string(digits), &o.session.budget)
		if err != nil {
			return o.rangeFailure(err)
		}
		o.addHole(h)
		o.bracket = nil
	case len(digits) > maxDigits || len(digits) > 0 && len(o.holes) == maxAxes:
		o.key = append(o.key, digits...)
		o.url.interrupt()
	case len(digits) > 0:
		r := rankOf(digits)
		o.addHole(hole{spans: []span{{r, r}}})
	}
	return nil
}

func (o *operand) addHole(h hole) {
	h.at = len(o.key)
	o.holes = append(o.holes, h)
	o.key = append(o.key, "%s"...)
	o.url.interrupt()
}

func (o *operand) rangeFailure(err error) error {
	e := o.fail(o.bracket.offset, err.Error())
	e.Err = errors.Unwrap(err)
	if re, ok := errors.AsType[*rangeError](err); ok {
		e.Offset = min(o.bracket.offset+re.offset, len(o.text))
	}
	return e
}

// gather adds the operand to g: once for each combination of signs.
func (o *operand) gather(g *gatherer) error {
	for i, h := range o.holes {
		if len(h.negative) == 0 {
			continue
		}
		negated, key := *o, o.key
		negated.key = append(append(append([]byte(nil), key[:h.at]...), '-'), key[h.at:]...)
		negated.holes = append([]hole(nil), o.holes...)
		negated.holes[i] = hole{at: h.at, spans: h.negative}
		for k := i; k < len(negated.holes); k++ {
			negated.holes[k].at++
		}
		if err := negated.gather(g); err != nil {
			return err
		}
		o.holes[i].negative = nil
		if !o.session.budget.spendAll(uint64(len(key))) {
			return o.tooLarge(o.start)
		}
		if len(h.spans) == 0 {
			return nil
		}
	}
	gr := g.group(o.key)
	if g.ranks = singles(g.ranks[:0], o.holes); len(g.ranks) == len(o.holes) {
		gr.addVector(g.ranks)
		return nil
	}
	axes := make(box, len(o.holes))
	for i, h := range o.holes {
		axes[i] = h.spans
	}
	gr.boxes = append(gr.boxes, axes)
	return nil
}

// singles appends the ranks of the holes up to the first that has more than one.
func singles(ranks []uint64, holes []hole) []uint64 {
	for _, h := range holes {
		if len(h.spans) != 1 || h.spans[0].lo != h.spans[0].hi {
			break
		}
		ranks = append(ranks, h.spans[0].lo)
	}
	return ranks
}

// set is the operand as a set of its own.
func (o *operand) set() (*Set, error) {
	var g gatherer
	if err := o.gather(&g); err != nil {
		return nil, err
	}
	return g.set(&builder{budget: &o.session.budget}), nil
}

// readNames spells the names out, for operands whose key cannot be trusted.
func (o *operand) readNames(ev *evaluator) error {
	s, err := o.set()
	if err != nil {
		return err
	}
	if !o.session.budget.spendAll(s.size) {
		return o.tooLarge(o.start)
	}
	for name := range s.All() {
		ev.pending.addName(name)
	}
	return nil
}
