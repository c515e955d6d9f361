package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/sink"
)

// saveFlags say what is stored of a run and for how long.
type saveFlags struct {
	noSave   bool
	bodies   string
	keepDays int
	keepSize string
}

func (f *saveFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.noSave, "no-save", false, "do not store the run, nor note what must not be repeated before it is sent")
	fs.StringVar(&f.bodies, "save-bodies", "all", "bodies to store: `all|failed|none`")
	fs.IntVar(&f.keepDays, "keep-days", 30, "delete stored runs older than this (0: never)")
	fs.StringVar(&f.keepSize, "keep-size", "2GiB", "delete the oldest runs when the store is larger (0: never)")
}

func (f *saveFlags) validate() error {
	switch muster.SaveBodies(f.bodies) {
	case muster.SaveAll, muster.SaveFailed, muster.SaveNone:
	default:
		return usageError{fmt.Errorf("--save-bodies %q: want all, failed or none", f.bodies)}
	}
	if _, err := f.retention(); err != nil {
		return err
	}
	return nil
}

func (f *saveFlags) retention() (store.Retention, error) {
	size, err := parseBytes(f.keepSize)
	if err != nil {
		return store.Retention{}, usageError{fmt.Errorf("--keep-size: %w", err)}
	}
	// Zero is for ever on the command line, and the default in the store.
	r := store.Retention{Age: time.Duration(f.keepDays) * 24 * time.Hour, Bytes: size}
	if r.Age == 0 {
		r.Age = -1
	}
	if r.Bytes == 0 {
		r.Bytes = -1
	}
	return r, nil
}

func (p *Program) storeConfig() store.Config {
	return store.Config{
		Path:   filepath.Join(p.stateDir(), "muster.db"),
		Encode: sink.AppendResult,
	}
}

// openStore opens the user's store and closes the runs whose process has died. One that cannot
// be closed is told, and left to a later command.
func (p *Program) openStore(ctx context.Context) (*store.Store, error) {
	st, err := store.Open(ctx, p.storeConfig())
	if err != nil {
		return nil, err
	}
	reaped, err := st.Reap(ctx)
	for _, j := range reaped {
		fmt.Fprintf(p.Err, "muster: run %s was interrupted; closed: %s\n", j.ID, j.Ledger.String())
	}
	if err != nil {
		p.warn("interrupted runs could not be closed: %v", err)
	}
	return st, nil
}

// open begins the record of the run. A store that is broken does not keep the run from
// going on: results then go to a spill file.
func (s *session) open(ctx context.Context) error {
	if s.req.save.noSave {
		return nil
	}
	st, err := s.p.openStore(ctx)
	if err != nil {
		goesOn := "the run goes on, its results go to a file"
		if s.work.Repeat() == muster.RepeatNever {
			goesOn += ": what must not be repeated is sent only if that can be noted beside the store first (--no-save sends it without)"
		}
		fmt.Fprintf(s.p.Err, "muster: the store cannot be used: %v; %s\n", err, goesOn)
		s.rec = store.Detached(s.p.storeConfig(), &s.job, s.list.Len(), err)
		return nil
	}
	s.store = st
	s.rec, err = st.Begin(ctx, &s.job, s.list)
	return err
}

// settle ends the record; false means that the store does not have everything.
func (s *session) settle() bool {
	if s.rec == nil {
		return true
	}
	finishErr := s.rec.Finish(context.Background(), &s.job)
	ok, spill, err := s.rec.Health()
	switch {
	case !ok && spill == "":
		fmt.Fprintf(s.err, "muster: %v; no result was kept\n", err)
	case !ok:
		fmt.Fprintf(s.err, "muster: %v\n", err) // names the file
	case finishErr != nil:
		fmt.Fprintf(s.err, "muster: the end of the run could not be stored: %v\n", finishErr)
	}
	s.sound = ok && finishErr == nil
	return s.sound
}

// close releases the store, after deleting what its retention no longer covers. The account
// has been printed and is the last line: what cannot be deleted now is left to the next run.
func (s *session) close() {
	if s.rec != nil {
		s.rec.Close() // Health has been reported
	}
	if s.store == nil {
		return
	}
	if keep, err := s.req.save.retention(); err == nil && s.sound {
		s.store.Retain(context.Background(), keep)
	}
	s.store.Close()
}
