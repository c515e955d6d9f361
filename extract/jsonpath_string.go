package extract

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// quoted reads a string literal in either kind of quotes.
func (p *pathParser) quoted() (string, error) {
	quote := p.peek()
	p.pos++
	var b strings.Builder
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == quote:
			p.pos++
			return b.String(), nil
		case c < ' ':
			return "", p.fail("the control character %q must be written as \\u%04x", c, c)
		case c == '\\':
			r, err := p.escape(quote)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	return "", p.fail("the string has no closing %c", quote)
}

// escape reads what a backslash starts. Only the string's own quote may be escaped.
func (p *pathParser) escape(quote byte) (rune, error) {
	p.pos++
	c := p.peek()
	if c == quote {
		p.pos++
		return rune(c), nil
	}
	if c == 'u' {
		return p.unicodeEscape()
	}
	if i := strings.IndexByte(`bfnrt/\`, c); i >= 0 && c != 0 {
		p.pos++
		return rune("\b\f\n\r\t/\\"[i]), nil
	}
	return 0, p.fail("no such escape: want one of \\b \\f \\n \\r \\t \\/ \\\\ \\%c \\uXXXX", quote)
}

func (p *pathParser) unicodeEscape() (rune, error) {
	r, err := p.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.take(`\`) && p.peek() == 'u' {
		low, err := p.hex()
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, p.fail("half of a surrogate pair")
}

// hex reads uXXXX.
func (p *pathParser) hex() (rune, error) {
	p.pos++
	digits := p.text[p.pos:min(p.pos+4, len(p.text))]
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(digits) < 4 {
		return 0, p.fail("want four hexadecimal digits after \\u")
	}
	p.pos += 4
	return rune(n), nil
}
