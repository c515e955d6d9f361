package hostfile

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// lineReader gives the lines of an input without their ends.
type lineReader struct {
	in     *input
	number int // of the line last returned
	buf    []byte
}

// next returns the next line, valid until the call after; ok is false at the end.
func (l *lineReader) next() (line []byte, ok bool, err error) {
	l.number++
	l.buf = l.buf[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.buf)+len(part) > MaxLine {
			return nil, false, l.in.errorf(place{l.number, 1}, "line longer than %d MiB: break it", MaxLine>>20)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			l.buf = append(l.buf, part...)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, false, l.in.readError(place{l.number, 0}, err)
		}
		if len(l.buf) > 0 {
			l.buf = append(l.buf, part...)
			part = l.buf
		}
		return trimEnd(part), len(part) > 0, nil
	}
}

func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// readLines reads -w expressions, the text of one line a row.
func readLines(in *input, emit emitFunc) error {
	lines := &lineReader{in: in}
	for {
		line, ok, err := lines.next()
		if err != nil || !ok {
			return err
		}
		text, col := stripComment(string(line))
		if text == "" {
			continue
		}
		row := Row{Spec: text, Line: lines.number, Column: col}
		if !utf8.ValidString(text) {
			row.Spec, row.Err = "", in.errorf(place{lines.number, col}, "the line is not UTF-8 text")
		}
		if !emit(row) {
			return nil
		}
	}
}

// stripComment returns a line's text without blanks around it and without the
// comment that # starts at its beginning or after white space, and the text's
// column from 1.
func stripComment(line string) (text string, col int) {
	const blanks = " \t\r\v\f"
	text = strings.TrimLeft(line, blanks)
	col = len(line) - len(text) + 1
	if strings.HasPrefix(text, "#") {
		return "", col
	}
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && strings.IndexByte(blanks, text[i-1]) >= 0 {
			text = text[:i]
			break
		}
	}
	return strings.TrimRight(text, blanks), col
}
