package extract

// call reads a function's arguments and checks them as RFC 9535 §2.4.3 demands.
func (p *pathParser) call(t term, name string) (term, error) {
	want := map[string]int{"length": 1, "count": 1, "value": 1, "match": 2, "search": 2}[name]
	if want == 0 {
		p.pos = t.start
		return t, p.fail("no function %s; there are length, count, match, search, value", name)
	}
	args, err := p.arguments()
	if err != nil {
		return t, err
	}
	if len(args) != want {
		p.pos = t.start
		return t, p.fail("%s takes %d arguments, not %d", name, want, len(args))
	}
	switch name {
	case "count", "value":
		q := args[0].query
		if q == nil {
			p.pos = args[0].start
			return t, p.fail("%s takes a query", name)
		}
		t.value = countOf{*q}
		if name == "value" {
			t.value = valueOf{*q}
		}
		return t, nil
	case "length":
		arg, err := p.operand(args[0])
		t.value = lengthOf{arg}
		return t, err
	}
	t.truth, err = p.matching(name == "match", args)
	return t, err
}

func (p *pathParser) arguments() (args []term, err error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.pos++ // the parenthesis
	p.blank()
	for !p.take(")") {
		if len(args) > 0 {
			if !p.take(",") {
				return nil, p.fail("want , or ), got %s", p.next())
			}
			p.blank()
		}
		arg, err := p.term()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		p.blank()
	}
	p.depth--
	return args, nil
}

func (p *pathParser) matching(whole bool, args []term) (condition, error) {
	text, err := p.operand(args[0])
	if err != nil {
		return nil, err
	}
	pattern, err := p.operand(args[1])
	if err != nil {
		return nil, err
	}
	m := matching{whole: whole, text: text, pattern: pattern}
	if args[1].isLit && args[1].text != "" {
		if m.compiled, err = compilePattern(args[1].text, whole); err != nil {
			p.pos = args[1].start
			return nil, p.fail("%v", err)
		}
	}
	return m, nil
}
