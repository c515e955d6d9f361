package extract

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/musterhq/muster"
)

const (
	maxPath      = 16 << 10 // bytes of a query
	maxPathDepth = 50       // nesting of filters, parentheses and functions
)

// pathParser reads RFC 9535's grammar by recursive descent.
type pathParser struct {
	text  string
	pos   int
	depth int
}

func (p *pathParser) parse() (query, error) {
	switch {
	case len(p.text) > maxPath:
		return query{}, p.fail("longer than %d bytes", maxPath)
	case !utf8.ValidString(p.text):
		return query{}, p.fail("not UTF-8")
	case !p.take("$"):
		return query{}, p.fail("want $, as in $.name")
	}
	segs, err := p.segments()
	if err == nil && p.pos < len(p.text) {
		err = p.fail("want a segment such as .name, ..name or ['name'], got %s", p.next())
	}
	return query{segments: segs}, err
}

// fail names the query and the current column.
func (p *pathParser) fail(format string, args ...any) error {
	column := 1 + utf8.RuneCountInString(p.text[:min(p.pos, len(p.text))])
	return muster.Errorf(muster.KindInvalid, "JSONPath %q, column %d: %s", shorten(p.text), column, fmt.Sprintf(format, args...))
}

// next describes the next character for a message.
func (p *pathParser) next() string {
	if p.pos >= len(p.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return strconv.QuoteRune(r)
}

func (p *pathParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *pathParser) take(s string) bool {
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// blank skips the RFC's S.
func (p *pathParser) blank() {
	for strings.IndexByte(" \t\n\r", p.peek()) >= 0 && p.pos < len(p.text) {
		p.pos++
	}
}

func (p *pathParser) enter() error {
	if p.depth++; p.depth > maxPathDepth {
		return p.fail("nested more than %d deep", maxPathDepth)
	}
	return nil
}

// segments reads *(S segment); blanks that no segment follows are left.
func (p *pathParser) segments() (segs []segment, err error) {
	for {
		start := p.pos
		p.blank()
		var seg segment
		switch {
		case p.take(".."):
			seg, err = p.afterDots()
		case p.take("."):
			seg, err = p.afterDot()
		case p.peek() == '[':
			seg, err = p.bracketed()
		default:
			p.pos = start
			return segs, nil
		}
		if err != nil {
			return nil, err
		}
		segs = append(segs, seg)
	}
}

func (p *pathParser) afterDot() (segment, error) {
	if p.take("*") {
		return segment{selectors: []selector{wildcardSelector{}}}, nil
	}
	name := p.shorthand()
	if name == "" {
		return segment{}, p.fail("want a name or * after the dot, got %s; other names are written ['name']", p.next())
	}
	return segment{selectors: []selector{nameSelector(name)}}, nil
}

func (p *pathParser) afterDots() (seg segment, err error) {
	if p.peek() == '[' {
		seg, err = p.bracketed()
	} else {
		seg, err = p.afterDot()
	}
	seg.descendant = true
	return seg, err
}

// shorthand reads member-name-shorthand, "" when there is none.
func (p *pathParser) shorthand() string {
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		digit := '0' <= c && c <= '9' && p.pos > start
		if !digit && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80) {
			break
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *pathParser) bracketed() (seg segment, err error) {
	if err := p.enter(); err != nil {
		return seg, err
	}
	p.pos++ // the bracket
	for {
		p.blank()
		sel, err := p.selector()
		if err != nil {
			return seg, err
		}
		seg.selectors = append(seg.selectors, sel)
		p.blank()
		switch {
		case p.take("]"):
			p.depth--
			return seg, nil
		case !p.take(","):
			return seg, p.fail("want , or ], got %s", p.next())
		}
	}
}

func (p *pathParser) selector() (selector, error) {
	switch c := p.peek(); {
	case c == '\'' || c == '"':
		s, err := p.quoted()
		return nameSelector(s), err
	case c == '*':
		p.pos++
		return wildcardSelector{}, nil
	case c == '?':
		p.pos++
		p.blank()
		cond, err := p.or()
		return filterSelector{cond}, err
	case c == ':' || c == '-' || '0' <= c && c <= '9':
		return p.indexOrSlice()
	}
	return nil, p.fail("want a quoted name, an index, a slice, * or a filter starting with ?, got %s", p.next())
}

func (p *pathParser) indexOrSlice() (selector, error) {
	start, err := p.integer()
	if err != nil {
		return nil, err
	}
	end := p.pos
	p.blank()
	if !p.take(":") {
		p.pos = end
		return indexSelector(*start), nil
	}
	sel := sliceSelector{start: start, step: 1}
	p.blank()
	if sel.end, err = p.integer(); err != nil {
		return nil, err
	}
	p.blank()
	if !p.take(":") {
		return sel, nil
	}
	p.blank()
	step, err := p.integer()
	if step != nil {
		sel.step = *step
	}
	return sel, err
}

// integer reads int, nil when there is none. It has no leading zeros and lies
// within the exact range of I-JSON (RFC 9535 §2.1).
func (p *pathParser) integer() (*int64, error) {
	start := p.pos
	p.take("-")
	for '0' <= p.peek() && p.peek() <= '9' {
		p.pos++
	}
	s := p.text[start:p.pos]
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != s || n >= maxExact || n <= -maxExact {
		p.pos = start
		return nil, p.fail("%q is no index: want an integer within ±(2^53-1) without leading zeros", s)
	}
	return &n, nil
}
