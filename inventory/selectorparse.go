package inventory

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseSelector reads a selector. A comma means and:
//
//	rack=r1  rack==r1  env!=dev      equality
//	rack  !rack                      the label exists, or not
//	env in (prod,stage)              one of several; also: env notin (dev)
//	host=~web[0-9]+  rack!~r1.*      a regular expression for the whole value
//
// Keys are labels, or id, host, port and group; group=web holds if web is one of the
// groups that the target came from. As in Kubernetes a negated requirement holds
// where the label is missing. Values with special characters are quoted with ' or ".
// A regular expression without quotes reaches to the next comma outside of its brackets.
//
// The empty text gives nil, which matches everything. Errors have a
// *[SyntaxError] in their chain.
func ParseSelector(text string) (*Selector, error) {
	p := &selectorParser{text: text}
	p.space()
	if p.pos == len(text) {
		return nil, nil
	}
	s := &Selector{text: text}
	for {
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, r)
		if p.space(); p.pos == len(text) {
			return s, nil
		}
		if !p.take(",") {
			return nil, p.errorf(p.pos, "want a comma or the end, not %q", p.glance())
		}
	}
}

type selectorParser struct {
	text string
	pos  int
}

func (p *selectorParser) errorf(at int, format string, args ...any) error {
	return invalid(&SyntaxError{What: "selector", Input: p.text, Offset: at, Msg: fmt.Sprintf(format, args...)})
}

// glance returns the next character for a message.
func (p *selectorParser) glance() string {
	_, size := utf8.DecodeRuneInString(p.text[p.pos:])
	return p.text[p.pos : p.pos+size]
}

func (p *selectorParser) space() {
	p.pos = len(p.text) - len(strings.TrimLeftFunc(p.text[p.pos:], unicode.IsSpace))
}

func (p *selectorParser) take(token string) bool {
	ok := strings.HasPrefix(p.text[p.pos:], token)
	if ok {
		p.pos += len(token)
	}
	return ok
}

// word returns the longest text of characters that need no quotes.
func (p *selectorParser) word() string {
	rest := p.text[p.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`,=!~()'"`, r)
	})
	if end < 0 {
		end = len(rest)
	}
	p.pos += end
	return rest[:end]
}

func (p *selectorParser) requirement() (r requirement, err error) {
	p.space()
	at := p.pos
	not := p.take("!")
	p.space()
	if r.key, err = p.key(); err != nil {
		return r, err
	}
	p.space()
	operator := p.pos
	switch {
	case p.take("=~"):
		r, err = p.match(r, false)
	case p.take("!~"):
		r, err = p.match(r, true)
	case p.take("=="), p.take("="):
		r, err = p.equal(r, false)
	case p.take("!="):
		r, err = p.equal(r, true)
	case p.keyword("in"):
		r, err = p.in(r, false)
	case p.keyword("notin"):
		r, err = p.in(r, true)
	default:
		r.negated = not
		return r, nil
	}
	if err == nil && not {
		err = p.errorf(at, "! before a key asks whether it is missing, and %q follows: leave one of them out", p.text[operator:operator+1])
	}
	return r, err
}

func (p *selectorParser) key() (string, error) {
	if p.pos < len(p.text) && (p.text[p.pos] == '"' || p.text[p.pos] == '\'') {
		return p.quoted()
	}
	at := p.pos
	key := p.word()
	if key != "" {
		return key, nil
	}
	if at == len(p.text) {
		return "", p.errorf(at, "want the name of a label, as in rack=r1")
	}
	return "", p.errorf(at, "want the name of a label, as in rack=r1, not %q", p.glance())
}

// keyword takes "in" or "notin" if a list or white space follows.
func (p *selectorParser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.pos:], word)
	if !ok || rest != "" && rest[0] != '(' && !unicode.IsSpace(rune(rest[0])) {
		return false
	}
	p.pos += len(word)
	return true
}

func (p *selectorParser) equal(r requirement, negated bool) (requirement, error) {
	value, err := p.value()
	r.test, r.negated, r.values = testIn, negated, []string{value}
	return r, err
}

// value reads a value, which may be empty.
func (p *selectorParser) value() (string, error) {
	p.space()
	if p.pos < len(p.text) && (p.text[p.pos] == '"' || p.text[p.pos] == '\'') {
		return p.quoted()
	}
	return p.word(), nil
}

func (p *selectorParser) quoted() (string, error) {
	at := p.pos
	inner, _, ok := strings.Cut(p.text[at+1:], p.text[at:at+1])
	if !ok {
		return "", p.errorf(at, "quote not closed")
	}
	p.pos += len(inner) + 2
	return inner, nil
}

func (p *selectorParser) in(r requirement, negated bool) (requirement, error) {
	r.test, r.negated = testIn, negated
	p.space()
	open := p.pos
	if !p.take("(") {
		return r, p.errorf(p.pos, "want a list behind in, as in %s in (a,b)", r.key)
	}
	for {
		value, err := p.value()
		if err != nil {
			return r, err
		}
		r.values = append(r.values, value)
		p.space()
		switch {
		case p.take(")"):
			return r, nil
		case p.take(","):
		case p.pos == len(p.text):
			return r, p.errorf(open, "list not closed")
		default:
			return r, p.errorf(p.pos, "want a comma or a closing bracket, not %q", p.glance())
		}
	}
}

func (p *selectorParser) match(r requirement, negated bool) (requirement, error) {
	r.test, r.negated = testMatch, negated
	p.space()
	at := p.pos
	text := ""
	if p.pos < len(p.text) && (p.text[p.pos] == '"' || p.text[p.pos] == '\'') {
		var err error
		if text, err = p.quoted(); err != nil {
			return r, err
		}
	} else {
		text = strings.TrimSpace(p.text[p.pos : p.pos+regexpLen(p.text[p.pos:])])
		p.pos += regexpLen(p.text[p.pos:])
	}
	var err error
	if _, err = regexp.Compile(text); err == nil {
		r.pattern, err = regexp.Compile(`\A(?:` + text + `)\z`)
	}
	if err != nil {
		return r, p.errorf(at, "%v", err)
	}
	return r, nil
}

// regexpLen returns the length of s up to the first comma outside of brackets.
func regexpLen(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth <= 0 {
				return i
			}
		}
	}
	return len(s)
}
