package hostfile

import (
	"fmt"
	"strconv"

	"github.com/musterhq/muster"
)

// Error is a defect at a place of an input.
type Error struct {
	// Input is the file, "standard input" or the URL.
	Input string
	// Line and Column count from 1, columns in bytes; 0 is unknown.
	Line, Column int
	// Msg says what is wrong and the way out.
	Msg string
	// Err is the cause; nil when there is none.
	Err error
}

// Error returns "input:line:column: message".
func (e *Error) Error() string {
	s := e.Input
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
		if e.Column > 0 {
			s += ":" + strconv.Itoa(e.Column)
		}
	}
	return s + ": " + e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// place is a position in an input, from 1, columns in bytes.
type place struct{ line, col int }

// errorf returns a defect at p, of kind invalid.
func (in *input) errorf(p place, format string, args ...any) error {
	return &muster.Error{Kind: muster.KindInvalid, Err: &Error{
		Input: in.name, Line: p.line, Column: p.col, Msg: fmt.Sprintf(format, args...),
	}}
}

// readError says that reading itself broke at p.
func (in *input) readError(p place, err error) error {
	return &muster.Error{Kind: muster.KindUnavailable, Err: &Error{
		Input: in.name, Line: p.line, Msg: "read: " + err.Error(), Err: err,
	}}
}

// shorten cuts text quoted in a message.
func shorten(s string) string {
	const most = 60
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
