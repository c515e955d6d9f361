package hostfile

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep documents may nest.
const maxDepth = 500

// jsonReader reads JSON values off an input one by one, knowing where it is.
type jsonReader struct {
	in    *input
	next  place // of the next byte
	left  int   // bytes the current value may still take
	limit int
	buf   []byte
}

// newJSONReader reads values of up to limit bytes each.
func newJSONReader(in *input, limit int) *jsonReader {
	return &jsonReader{in: in, next: place{1, 1}, left: limit, limit: limit}
}

// parseJSON reads a document that has only one value.
func parseJSON(in *input) (*node, error) {
	j := newJSONReader(in, MaxDocument)
	n, err := j.value(0)
	if err != nil {
		return nil, err
	}
	return n, j.end()
}

// peek skips white space and returns the byte that follows without taking it;
// ok is false at the end of the input.
func (j *jsonReader) peek() (c byte, ok bool, err error) {
	for {
		c, err := j.take()
		switch {
		case errors.Is(err, io.EOF):
			return 0, false, nil
		case err != nil:
			return 0, false, err
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return c, true, j.unread()
		}
	}
}

// take returns the next byte, io.EOF at the end.
func (j *jsonReader) take() (byte, error) {
	c, err := j.in.ReadByte()
	if errors.Is(err, io.EOF) {
		return 0, io.EOF
	}
	if err != nil {
		return 0, j.in.readError(place{j.next.line, 0}, err)
	}
	if j.left--; j.left < 0 {
		return 0, j.in.errorf(j.next, "a value larger than %d MiB", j.limit>>20)
	}
	j.next.col++
	if c == '\n' {
		j.next = place{j.next.line + 1, 1}
	}
	return c, nil
}

// unread gives back a byte that is no line end.
func (j *jsonReader) unread() error {
	j.next.col--
	j.left++
	return j.in.UnreadByte()
}

// want takes the next byte past white space; what says what may come.
func (j *jsonReader) want(what string) (c byte, at place, err error) {
	_, ok, err := j.peek()
	at = j.next
	if err == nil && !ok {
		err = j.in.errorf(at, "the JSON ends too early: want %s", what)
	}
	if err != nil {
		return 0, at, err
	}
	c, err = j.take()
	return c, at, err
}

// end makes sure that nothing follows.
func (j *jsonReader) end() error {
	c, ok, err := j.peek()
	if err == nil && ok {
		err = j.in.errorf(j.next, "%q after the end of the JSON value", rune(c))
	}
	return err
}

// elements gives the elements of the list that follows to fn until it has
// enough, and makes sure that nothing follows the list. Each may take limit bytes.
func (j *jsonReader) elements(fn func(*node) bool) error {
	if _, _, err := j.want("["); err != nil {
		return err
	}
	stopped := false
	err := j.items(']', func() error {
		j.left = j.limit
		n, err := j.value(1)
		if err == nil && !fn(n) {
			stopped, err = true, io.EOF
		}
		return err
	})
	if err != nil || stopped {
		if stopped {
			return nil
		}
		return err
	}
	return j.end()
}

// items reads what stands between an opening bracket already taken and closing.
func (j *jsonReader) items(closing byte, item func() error) error {
	c, ok, err := j.peek()
	if err != nil {
		return err
	}
	if ok && c == closing {
		_, err := j.take()
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, at, err := j.want("a comma or " + string(closing))
		switch {
		case err != nil:
			return err
		case c == closing:
			return nil
		case c != ',':
			return j.in.errorf(at, "%q where a comma or %c should be", rune(c), closing)
		}
	}
}

// value reads one value.
func (j *jsonReader) value(depth int) (*node, error) {
	c, at, err := j.want("a value")
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, j.in.errorf(at, "nested deeper than %d", maxDepth)
	}
	n := &node{at: at}
	switch {
	case c == '"':
		n.kind = kindText
		n.text, err = j.text(at)
	case c == '[':
		n.kind = kindList
		err = j.items(']', func() error {
			item, err := j.value(depth + 1)
			n.list = append(n.list, item)
			return err
		})
	case c == '{':
		n.kind = kindObject
		err = j.object(n, depth)
	case strings.IndexByte("-+.'", c) < 0 && (c < '0' || '9' < c) && (c|0x20 < 'a' || 'z' < c|0x20):
		err = j.in.errorf(at, "%q where a value should be", rune(c))
	default:
		err = j.word(n, c)
	}
	return n, err
}

func (j *jsonReader) object(n *node, depth int) error {
	var index fieldIndex
	return j.items('}', func() error {
		c, at, err := j.want("a key")
		if err != nil {
			return err
		}
		if c != '"' {
			return j.in.errorf(at, "%q where a key in double quotes should be", rune(c))
		}
		name, err := j.text(at)
		if err != nil {
			return err
		}
		c, colon, err := j.want("a colon")
		if err != nil {
			return err
		}
		if c != ':' {
			return j.in.errorf(colon, "%q where a colon should be", rune(c))
		}
		v, err := j.value(depth + 1)
		index.set(n, field{name, at, v})
		return err
	})
}

// word reads a number, true, false or null that starts with c.
func (j *jsonReader) word(n *node, c byte) error {
	j.buf = append(j.buf[:0], c)
	for {
		c, err := j.take()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if strings.IndexByte(" \t\r\n,:]}[{\"", c) >= 0 {
			if c == '\n' {
				break // white space either way, and a line cannot be given back
			}
			if err := j.unread(); err != nil {
				return err
			}
			break
		}
		j.buf = append(j.buf, c)
	}
	n.text = string(j.buf)
	switch {
	case n.text == "null":
		n.kind, n.text = kindNull, ""
	case n.text == "true", n.text == "false":
		n.kind = kindBool
	case (c == '-' || '0' <= c && c <= '9') && json.Valid(j.buf):
		n.kind = kindNumber
	default:
		return j.in.errorf(n.at, "%q is no JSON value: put texts in double quotes", shorten(strings.ToValidUTF8(n.text, "\ufffd")))
	}
	return nil
}

// text reads the rest of a text whose opening quote, at start, is taken.
func (j *jsonReader) text(start place) (string, error) {
	j.buf = j.buf[:0]
	for {
		at := j.next
		c, err := j.take()
		switch {
		case errors.Is(err, io.EOF):
			return "", j.in.errorf(start, "the text that starts here has no closing quote")
		case err != nil:
			return "", err
		case c == '"':
			if !utf8.Valid(j.buf) {
				return "", j.in.errorf(start, "the text is not UTF-8")
			}
			return string(j.buf), nil
		case c < ' ':
			return "", j.in.errorf(at, `%q inside a text: write it as \u%04x, or close the quote before it`, rune(c), c)
		case c == '\\':
			if err := j.escape(at); err != nil {
				return "", err
			}
		default:
			j.buf = append(j.buf, c)
		}
	}
}

// escape reads what follows a backslash at position at.
func (j *jsonReader) escape(at place) error {
	c, err := j.take()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if i := strings.IndexByte(`"\/bfnrt`, c); err == nil && i >= 0 {
		j.buf = append(j.buf, "\"\\/\b\f\n\r\t"[i])
		return nil
	}
	if err != nil || c != 'u' {
		return j.in.errorf(at, `\%c is no JSON escape: double the backslash`, c)
	}
	r, err := j.hex(at)
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) {
		r, err = j.lowSurrogate(at, r)
	}
	j.buf = utf8.AppendRune(j.buf, r)
	return err
}

// lowSurrogate reads the second half of a pair. A half alone becomes U+FFFD.
func (j *jsonReader) lowSurrogate(at place, high rune) (rune, error) {
	next, err := j.in.Peek(6)
	if err != nil || next[0] != '\\' || next[1] != 'u' {
		return utf8.RuneError, nil
	}
	var low rune
	for _, c := range next[2:] {
		d, ok := hexDigit(c)
		if !ok {
			return utf8.RuneError, nil
		}
		low = low<<4 | d
	}
	r := utf16.DecodeRune(high, low)
	if r == utf8.RuneError {
		return r, nil
	}
	for range 6 {
		if _, err := j.take(); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (j *jsonReader) hex(at place) (rune, error) {
	var r rune
	for range 4 {
		c, err := j.take()
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		d, ok := hexDigit(c)
		if err != nil || !ok {
			return 0, j.in.errorf(at, `\u wants four hexadecimal digits`)
		}
		r = r<<4 | d
	}
	return r, nil
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}
