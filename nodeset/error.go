package nodeset

import "fmt"

// A SyntaxError says where an expression is wrong.
type SyntaxError struct {
	Input  string // the whole expression
	Offset int    // of the defect, in bytes from 0; the message counts columns from 1
	Msg    string // what is wrong, naming the token
	Err    error  // the cause, where there is another one
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("node set %q: column %d: %s", excerpt(e.Input, e.Offset), e.Offset+1, e.Msg)
}

// Unwrap returns the cause, for instance [ErrTooLarge].
func (e *SyntaxError) Unwrap() error { return e.Err }

// excerpt shortens a long input to the part around offset.
func excerpt(s string, offset int) string {
	const around = 40
	if len(s) <= 3*around {
		return s
	}
	from, to := max(offset-around, 0), min(offset+around, len(s))
	cut := s[from:to]
	if from > 0 {
		cut = "…" + cut
	}
	if to < len(s) {
		cut += "…"
	}
	return cut
}
