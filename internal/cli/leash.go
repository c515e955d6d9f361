package cli

import (
	"io"
	"slices"
	"time"

	"github.com/musterhq/muster/sink"
)

// patience is how long a write may still take once its user wants to stop.
const patience = 250 * time.Millisecond

// leash is a writer that does not hold up whoever wants to stop: once slack is closed, a write
// that its reader does not take within patience is given up, and so is all that follows. A write
// to a full pipe cannot be ended in any other way. It is not safe for concurrent use.
type leash struct {
	w     io.Writer
	slack <-chan struct{}
	lost  bool
}

// Write writes b, or returns [sink.ErrClosedPipe] when nobody takes it any more.
func (l *leash) Write(b []byte) (int, error) {
	if l.lost {
		return 0, sink.ErrClosedPipe
	}
	var n int
	var err error
	done := make(chan struct{})
	own := slices.Clone(b) // a write that is given up still looks at it
	go func() {
		defer close(done)
		n, err = l.w.Write(own)
	}()
	select {
	case <-done:
		return n, err
	case <-l.slack:
	}
	select {
	case <-done:
		return n, err
	case <-time.After(patience):
		l.lost = true
		return 0, sink.ErrClosedPipe
	}
}
