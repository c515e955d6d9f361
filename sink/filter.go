package sink

import (
	"context"
	"errors"

	"github.com/musterhq/muster"
)

// Display says which results are shown. "" shows all.
type Display string

// The choices of [Display].
const (
	DisplayAll    Display = "all"
	DisplayOK     Display = "ok"
	DisplayFailed Display = "failed" // all that did not end OK
	DisplayNone   Display = "none"
)

// ParseDisplay reads one of the choices.
func ParseDisplay(s string) (Display, error) {
	switch d := Display(s); d {
	case DisplayAll, DisplayOK, DisplayFailed, DisplayNone:
		return d, nil
	}
	return "", muster.Errorf(muster.KindInvalid, "display %q: want ok, failed, all or none", s)
}

// Shows reports whether results that ended in o are shown.
func (d Display) Shows(o muster.Outcome) bool {
	switch d {
	case DisplayOK:
		return o == muster.OK
	case DisplayFailed:
		return o != muster.OK
	case DisplayNone:
		return false
	}
	return true
}

// Filter passes on to To the results that Display shows. To must be set; the zero
// Display passes all.
type Filter struct {
	To      muster.Sink
	Display Display

	kept []muster.Result
}

var _ muster.Sink = (*Filter)(nil)

// Write passes on what is shown, and does not call To when that is nothing.
func (f *Filter) Write(ctx context.Context, rs []muster.Result) error {
	if f.Display == "" || f.Display == DisplayAll {
		return f.To.Write(ctx, rs)
	}
	f.kept = f.kept[:0]
	for i := range rs {
		if f.Display.Shows(rs[i].Outcome) {
			f.kept = append(f.kept, rs[i])
		}
	}
	if len(f.kept) == 0 {
		return nil
	}
	err := f.To.Write(ctx, f.kept)
	clear(f.kept) // the bodies are not ours to hold
	return err
}

// Close closes To.
func (f *Filter) Close() error { return f.To.Close() }

// Tee passes everything to each of its sinks, in their order. One that fails does not keep
// the others from getting theirs; the errors are joined. The zero value drops everything.
type Tee []muster.Sink

var _ muster.Sink = Tee(nil)

// Write writes rs to all sinks.
func (t Tee) Write(ctx context.Context, rs []muster.Result) error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Write(ctx, rs))
	}
	return errors.Join(errs...)
}

// Close closes all sinks.
func (t Tee) Close() error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
