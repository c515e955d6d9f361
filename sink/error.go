package sink

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ErrClosedPipe is wrapped by the errors of sinks whose reader has gone away, as with
// "muster … | head". It is not a defect: the caller should stop quietly.
var ErrClosedPipe = errors.New("output closed by its reader")

// output writes to w and remembers the first error: after it, nothing more is tried.
type output struct {
	err      error
	reported bool // by write; close need not say it again
}

// write hands p over in one call. It returns the first error again and again.
func (o *output) write(w io.Writer, p []byte) error {
	if o.err == nil && len(p) > 0 {
		_, err := w.Write(p)
		o.err = wrapWrite(w, err)
	}
	o.reported = o.reported || o.err != nil
	return o.err
}

// spill writes p early when it is large, and returns what is left of it.
func (o *output) spill(w io.Writer, p []byte) []byte {
	const large = 1 << 20
	if len(p) < large {
		return p
	}
	o.write(w, p) // kept in o, for the next write
	return p[:0]
}

// close returns what no call of write has returned yet.
func (o *output) close() error {
	if o.reported {
		return nil
	}
	o.reported = true
	return o.err
}

// wrapWrite makes sure that an error of w names the file, and that a closed pipe is known as one.
func wrapWrite(w io.Writer, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("%w: %w", ErrClosedPipe, err)
	}
	if _, named := errors.AsType[*os.PathError](err); named {
		return err
	}
	if f, ok := w.(interface{ Name() string }); ok {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return fmt.Errorf("write results: %w", err)
}
