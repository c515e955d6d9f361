package inventory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/musterhq/muster"
)

// A SyntaxError says where an expression or a selector is wrong.
type SyntaxError struct {
	What   string // what was read: "targets", "selector", or a group by name
	Input  string // the whole text, credentials taken out
	Offset int    // of the defect, in bytes from 0; the message counts columns from 1
	Msg    string // what is wrong and the way out
	Err    error  // the cause; nil when there is none
}

// Error returns `what "input": column N: message`.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s %q: column %d: %s", e.What, excerpt(e.Input, e.Offset), e.Offset+1, e.Msg)
}

// Unwrap returns the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }

// excerpt shortens a long input to the part around offset.
func excerpt(s string, offset int) string {
	const around = 40
	if len(s) <= 3*around {
		return s
	}
	from, to := max(offset-around, 0), min(offset+around, len(s))
	cut := strings.ToValidUTF8(s[from:to], "")
	if from > 0 {
		cut = "…" + cut
	}
	if to < len(s) {
		cut += "…"
	}
	return cut
}

func invalid(err error) error { return &muster.Error{Kind: muster.KindInvalid, Err: err} }

// term is one operand of an expression as written, with the operator before it:
// ',' (also for white space and at the start), '!', '&' or '^'.
type term struct {
	op   byte
	text string
	at   int // offset in the expression
}

// scanner cuts an expression into terms.
type scanner struct {
	what, text string
	pos        int
	begun      bool
}

// placed is an error at an offset of the text that a function was given.
type placed struct {
	offset int
	err    error
}

func (p *placed) Error() string { return p.err.Error() }
func (p *placed) Unwrap() error { return p.err }

// behind places err n bytes further on.
func behind(n int, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := err.(*placed); ok {
		return &placed{p.offset + n, p.err}
	}
	return &placed{n, err}
}

// errorIn says that err is wrong in what begins at offset at.
func (s *scanner) errorIn(at int, err error) error {
	if p, ok := err.(*placed); ok {
		at, err = at+p.offset, p.err
	}
	return s.errorf(at, "%w", err)
}

func (s *scanner) errorf(at int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if inUserinfo(s.text, at) {
		err = errUserinfo
	}
	input := withoutUserinfo(s.text)
	at = min(len(withoutUserinfo(s.text[:at])), len(input))
	return invalid(&SyntaxError{What: s.what, Input: input, Offset: at, Msg: err.Error(), Err: err})
}

// next returns the next term; ok is false at the end.
func (s *scanner) next() (t term, ok bool, err error) {
	t.op = ','
	for s.pos < len(s.text) {
		c, size := utf8.DecodeRuneInString(s.text[s.pos:])
		switch {
		case c == ',' || unicode.IsSpace(c):
		case isOperator(byte(c)) && c < utf8.RuneSelf:
			if t.op != ',' {
				return t, false, s.errorf(s.pos, "%q follows %q: put targets between two operators", c, t.op)
			}
			if !s.begun {
				return t, false, s.errorf(s.pos, "nothing before %q: name the targets that it applies to first", c)
			}
			t.op = byte(c)
		default:
			s.begun = true
			t.at = s.pos
			t.text, err = s.term()
			return t, true, err
		}
		s.pos += size
	}
	if t.op != ',' {
		return t, false, s.errorf(len(s.text), "nothing follows %q", t.op)
	}
	return t, false, nil
}

func isOperator(c byte) bool { return c == '!' || c == '&' || c == '^' }

// term reads up to the end of the term at pos.
func (s *scanner) term() (string, error) {
	from := s.pos
	literal := schemeLen(s.text[from:])
	s.pos += literal
	inPath, inQuery, quote := false, false, byte(0)
	for s.pos < len(s.text) {
		c, size := utf8.DecodeRuneInString(s.text[s.pos:])
		switch {
		case quote != 0:
			if c == rune(quote) {
				quote = 0
			}
		case (c == '"' || c == '\'') && s.text[from] == '@':
			quote = byte(c)
		case unicode.IsSpace(c):
			return s.text[from:s.pos], nil
		case inPath && literal > 0:
		case c == ',', c == '!' || c == '^', c == '&' && !inQuery:
			return s.text[from:s.pos], nil
		case c == '[' && !inPath:
			end := strings.IndexByte(s.text[s.pos:], ']')
			if end < 0 {
				return "", s.errorf(s.pos, "bracket not closed")
			}
			size = end + 1
		case c == '/' && s.text[from] != '@':
			inPath = true
		case c == '?' && (inPath || literal > 0):
			inPath, inQuery = true, true
		}
		s.pos += size
	}
	if quote != 0 {
		return "", s.errorf(from, "quote not closed")
	}
	return s.text[from:s.pos], nil
}

// schemeLen returns the length of "scheme://" at the start of s, or 0.
func schemeLen(s string) int {
	i := strings.Index(s, "://")
	if i < 1 {
		return 0
	}
	for k := range i {
		c := s[k] | 0x20
		if !('a' <= c && c <= 'z' || k > 0 && (isDigit(s[k]) || strings.IndexByte("+-.", s[k]) >= 0)) {
			return 0
		}
	}
	return i + len("://")
}
