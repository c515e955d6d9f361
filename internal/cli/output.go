package cli

import (
	"io"
	"sync/atomic"
)

// output is standard output: it remembers its first error, so that a command that does not look
// at every write still cannot end well without its output. It is safe for concurrent use if w is.
type output struct {
	w     io.Writer
	first atomic.Pointer[error]
}

// Write writes b to w.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		o.first.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failed returns the first error of a write, or nil.
func (o *output) failed() error {
	if err := o.first.Load(); err != nil {
		return *err
	}
	return nil
}
