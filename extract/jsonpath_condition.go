package extract

import "strings"

// or reads logical-expr.
func (p *pathParser) or() (condition, error) {
	c, err := p.and()
	if err != nil {
		return nil, err
	}
	cs := anyOf{c}
	for {
		end := p.pos
		p.blank()
		if !p.take("||") {
			p.pos = end
			break
		}
		p.blank()
		if c, err = p.and(); err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	if len(cs) == 1 {
		return cs[0], nil
	}
	return cs, nil
}

func (p *pathParser) and() (condition, error) {
	c, err := p.basic()
	if err != nil {
		return nil, err
	}
	cs := allOf{c}
	for {
		end := p.pos
		p.blank()
		if !p.take("&&") {
			p.pos = end
			break
		}
		p.blank()
		if c, err = p.basic(); err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	if len(cs) == 1 {
		return cs[0], nil
	}
	return cs, nil
}

// basic reads a parenthesis, a test or a comparison.
func (p *pathParser) basic() (condition, error) {
	if p.peek() == '(' {
		return p.parenthesis()
	}
	if p.take("!") {
		p.blank()
		if p.peek() == '(' {
			c, err := p.parenthesis()
			return negation{c}, err
		}
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		c, err := p.test(t)
		return negation{c}, err
	}
	left, err := p.term()
	if err != nil {
		return nil, err
	}
	end := p.pos
	p.blank()
	op := p.operator()
	if op == "" {
		p.pos = end
		return p.test(left)
	}
	return p.compare(left, op)
}

func (p *pathParser) parenthesis() (condition, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.pos++
	p.blank()
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	p.blank()
	if !p.take(")") {
		return nil, p.fail("want ), && or ||, got %s", p.next())
	}
	p.depth--
	return c, nil
}

func (p *pathParser) operator() string {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if p.take(op) {
			return op
		}
	}
	return ""
}

func (p *pathParser) compare(left term, op string) (condition, error) {
	a, err := p.operand(left)
	if err != nil {
		return nil, err
	}
	p.blank()
	right, err := p.term()
	if err != nil {
		return nil, err
	}
	b, err := p.operand(right)
	return comparison{op, a, b}, err
}

// term is what may stand alone, be compared, or be an argument: a literal, a query
// or a function, of which exactly one is set.
type term struct {
	start int
	value operand   // a literal, or a function that yields a value
	query *query    // a query
	truth condition // a function that yields a truth
	text  string    // the literal's, when it is a string
	isLit bool
}

// test makes t a condition: a query that finds something, or a function.
func (p *pathParser) test(t term) (condition, error) {
	switch {
	case t.query != nil:
		return existence{*t.query}, nil
	case t.truth != nil:
		return t.truth, nil
	}
	p.pos = t.start
	return nil, p.fail("a value alone is no condition: compare it")
}

// operand makes t a side of a comparison or an argument of type value.
func (p *pathParser) operand(t term) (operand, error) {
	switch {
	case t.value != nil:
		return t.value, nil
	case t.query != nil && t.query.singular():
		return *t.query, nil
	case t.query != nil:
		p.pos = t.start
		return nil, p.fail("the query may find more than one node: want names and single indexes only")
	}
	p.pos = t.start
	return nil, p.fail("match and search are conditions and have no value to compare")
}

func (p *pathParser) term() (term, error) {
	t := term{start: p.pos}
	switch c := p.peek(); {
	case c == '@' || c == '$':
		p.pos++
		segs, err := p.segments()
		t.query = &query{c == '@', segs}
		return t, err
	case c == '\'' || c == '"':
		s, err := p.quoted()
		t.value, t.text, t.isLit = constant{s}, s, true
		return t, err
	case c == '-' || '0' <= c && c <= '9':
		v, err := p.number()
		t.value, t.isLit = constant{v}, true
		return t, err
	case 'a' <= c && c <= 'z':
		return p.word(t)
	}
	return t, p.fail("want a query starting with @ or $, a literal or a function, got %s", p.next())
}

// number reads a literal as RFC 9535 §2.3.5.1 has it.
func (p *pathParser) number() (any, error) {
	start := p.pos
	digits := func() int {
		from := p.pos
		for '0' <= p.peek() && p.peek() <= '9' {
			p.pos++
		}
		return p.pos - from
	}
	p.take("-")
	first := p.peek()
	n := digits()
	ok := n == 1 || n > 1 && first != '0'
	if p.take(".") {
		ok = digits() > 0 && ok
	}
	if p.take("e") || p.take("E") {
		_ = p.take("-") || p.take("+")
		ok = digits() > 0 && ok
	}
	s := p.text[start:p.pos]
	if !ok {
		p.pos = start
		return nil, p.fail("%q is no JSON number", s)
	}
	return number(s), nil
}

// word reads true, false, null or a function's call.
func (p *pathParser) word(t term) (term, error) {
	for strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789_", p.peek()) >= 0 && p.pos < len(p.text) {
		p.pos++
	}
	name := p.text[t.start:p.pos]
	if p.peek() == '(' {
		return p.call(t, name)
	}
	switch name {
	case "true", "false":
		t.value, t.isLit = constant{name == "true"}, true
	case "null":
		t.value, t.isLit = constant{nil}, true
	default:
		p.pos = t.start
		return t, p.fail("%s is neither a literal nor a function: strings need quotes", name)
	}
	return t, nil
}
