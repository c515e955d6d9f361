package nodeset

import (
	"context"
	"fmt"
)

// Parse reads an expression without groups and wildcards. The empty string is
// the empty set. Errors in the text are of type *[SyntaxError].
func Parse(s string) (*Set, error) { return Parser{}.Parse(context.Background(), s) }

// A Parser reads expressions with groups. The zero value has none. It may be
// used concurrently if its Resolver may.
type Parser struct {
	// Resolver answers @groups and wildcards; nil makes them errors.
	Resolver Resolver
	// Limit bounds the pieces (steps, names of groups and wildcards, rectangles)
	// that one Parse may make beyond what grows with the length of the text; 0
	// means 1,048,576. Plain ranges are one piece however long they are.
	Limit int
}

// Parse reads an expression. ctx is handed to the Resolver.
func (p Parser) Parse(ctx context.Context, s string) (*Set, error) {
	return p.session().parse(ctx, s, scope{})
}

func (p Parser) session() *session {
	limit := p.Limit
	if limit <= 0 {
		limit = 1 << 20
	}
	return &session{resolver: p.Resolver, budget: budget{left: limit}, known: make(map[groupRef]*Set)}
}

// perByte is what a byte of text adds to the budget: a short element such as
// "n1c1," may be merged a few times on its way into the set.
const perByte = 8

// A session is one Parse with all the groups it leads to.
type session struct {
	resolver Resolver
	budget   budget
	known    map[groupRef]*Set
}

// A scope is where a text comes from.
type scope struct {
	source  string     // group source of names without one
	path    []groupRef // groups being resolved, outermost first
	literal bool       // no groups and wildcards: the text lists names
}

// An evaluator applies the operators of one text from left to right. Operands of
// a row of the same operator "," or "!" are gathered and applied together.
type evaluator struct {
	session *session
	result  *Set
	op      operation
	pending gatherer
	sets    []*Set // operands which are sets already
}

// operationOf is the operation of an operator; white space is a union.
func operationOf(operator byte) operation {
	switch operator {
	case '!':
		return difference
	case '&':
		return intersection
	case '^':
		return symmetricDifference
	}
	return union
}

func (s *session) parse(ctx context.Context, text string, sc scope) (*Set, error) {
	s.budget.grow(perByte * len(text))
	ev := evaluator{session: s, result: &Set{}}
	o := operand{session: s, scope: sc, text: text}
	var operator byte // 0: none since the last operand
	operands := 0
	for {
		for o.pos < len(text) && isSpace(text[o.pos]) {
			o.pos++
		}
		switch {
		case o.pos == len(text) && operator != 0:
			return nil, o.fail(o.pos, fmt.Sprintf("nothing follows operator %q", operator))
		case o.pos == len(text):
			r := ev.finish()
			if s.budget.exceeded() {
				return nil, o.tooLarge(0)
			}
			return r, nil
		case isOperator(text[o.pos]):
			if operator != 0 || operands == 0 {
				return nil, o.fail(o.pos, fmt.Sprintf("operator %q has nothing before it", text[o.pos]))
			}
			operator = text[o.pos]
			o.pos++
			continue
		}
		ev.begin(operationOf(operator))
		if err := o.read(ctx, &ev); err != nil {
			return nil, err
		}
		operator = 0
		operands++
	}
}

// begin starts an operand of op, applying what came before if it must.
func (ev *evaluator) begin(op operation) {
	if op == ev.op && (op == union || op == difference) {
		return
	}
	ev.flush()
	ev.op = op
}

func (ev *evaluator) finish() *Set {
	ev.flush()
	return ev.result
}

func (ev *evaluator) flush() {
	b := &builder{budget: &ev.session.budget}
	operand := b.uniteSets(append(ev.sets, ev.pending.set(b)))
	ev.result = b.sets(ev.op, ev.result, operand)
	ev.pending, ev.sets = gatherer{}, nil
}
