package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/internal/execute"
	"github.com/musterhq/muster/internal/store"
)

// errInterrupted is the cause with which the second interrupt ends a run.
var errInterrupted = errors.New("interrupted")

// session is one run of a job from the command line: results go to the store and to
// the report, progress to standard error.
type session struct {
	p          *Program
	req        *request
	spec       muster.JobSpec
	work       *execute.Work
	list       muster.List
	duplicates int

	job    muster.Job
	store  *store.Store
	rec    *store.Recorder // nil with --no-save
	engine *fanout.Run
	report *report

	screen      sync.Mutex // one writer on the terminal at a time; guards bar and interrupts
	bar         progress
	interrupted bool
}

func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.job = newJob(s.spec, s.list, commandLine(s.p.args), time.Now())
	s.job.Duplicates = s.duplicates
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close()
	var err error
	if s.report, err = newReport(s); err != nil {
		return err
	}
	s.engine = s.work.Start(s.list, s.reserve())
	s.bar = progress{out: s.p.Err, tty: isTerminal(s.p.Err) && !s.req.output.quiet && !s.req.output.noProgress, width: terminalWidth(s.p.Err)}
	stop := s.attend(ctx, cancel)
	writeErr := s.consume(ctx, cancel)
	stop()
	return s.finish(writeErr)
}

// reserve is the durable journal for attempts that must not be repeated; without a
// store there is none.
func (s *session) reserve() func(context.Context, []int) error {
	if s.rec == nil {
		return nil
	}
	return s.rec.Reserve
}

// consume takes every result to the store and the report. A broken report (a closed pipe,
// a full disk) stops the job; a broken store does not, for it spills.
func (s *session) consume(ctx context.Context, cancel context.CancelCauseFunc) error {
	var failed error
	for batch := range s.engine.Batches(ctx) {
		if s.rec != nil {
			if err := s.rec.Write(ctx, batch); err != nil && failed == nil {
				failed = err
				cancel(err)
			}
		}
		if failed != nil {
			s.report.count(batch)
			continue
		}
		s.screen.Lock()
		s.bar.clear()
		err := s.report.write(ctx, batch)
		s.screen.Unlock()
		if err != nil {
			failed = err
			cancel(errors.New("output closed"))
		}
	}
	return failed
}

// attend starts what goes on beside the run: progress, signals, Enter. The returned function
// ends it all and waits for it.
func (s *session) attend(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.watch(ctx, cancel) })
	if isTerminal(s.p.In) && s.bar.tty {
		wg.Go(func() { watchEnter(ctx, s.show) })
	}
	return func() {
		end()
		wg.Wait()
		s.screen.Lock()
		s.bar.clear()
		s.screen.Unlock()
	}
}

func (s *session) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(s.bar.every())
	defer ticker.Stop()
	silent := s.req.output.quiet || s.req.output.noProgress
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if !silent {
				s.screen.Lock()
				s.bar.update(s.engine.Status())
				s.screen.Unlock()
			}
		case <-s.p.Show:
			s.show()
		case sig := <-s.p.Signals:
			s.interrupt(sig, cancel)
		}
	}
}

// show prints the state of the run on a line of its own.
func (s *session) show() {
	s.screen.Lock()
	defer s.screen.Unlock()
	s.bar.clear()
	fmt.Fprintln(s.p.Err, stateLine(s.engine.Status()))
}

// interrupt drains on the first signal and aborts on the second.
func (s *session) interrupt(sig os.Signal, cancel context.CancelCauseFunc) {
	s.screen.Lock()
	defer s.screen.Unlock()
	s.bar.clear()
	if s.interrupted {
		fmt.Fprintln(s.p.Err, "muster: stopping at once")
		cancel(errInterrupted)
		return
	}
	s.interrupted = true
	s.engine.Drain("interrupted")
	st := s.engine.Status()
	left := st.Ledger.Targets - st.Ledger.Ended() - st.InFlight
	fmt.Fprintf(s.p.Err, "muster: %v: waiting for %d under way, %d will not be attempted; once more stops at once\n", sig, st.InFlight, left)
}

// finish closes the books: the record, the report, the account, the exit code.
func (s *session) finish(writeErr error) error {
	s.job.State, s.job.Why = s.engine.End()
	s.job.Finished = time.Now().UTC()
	s.job.Ledger = s.engine.Status().Ledger
	stored := s.settle()
	err := s.report.finish(&s.job)
	s.account()
	switch {
	case s.interrupted:
		return exitWith(exitInterrupted)
	case writeErr != nil:
		return writeErr
	case err != nil:
		return err
	case !stored:
		return exitWith(exitError)
	}
	if code := outcomeCode(&s.job); code != exitOK {
		return exitWith(code)
	}
	return nil
}

// account prints the last line of standard error: the ledger.
func (s *session) account() {
	d := s.job.Finished.Sub(s.job.Started)
	rate := float64(s.job.Ledger.Targets) / max(d.Seconds(), 1e-3)
	if s.job.Why != "" {
		fmt.Fprintf(s.p.Err, "stopped: %s\n", s.job.Why)
	}
	fmt.Fprintf(s.p.Err, "%s in %s (%s/s)\n", s.job.Ledger.String(), shortDuration(d), short(rate))
}

func shortDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// outcomeCode is the exit code that a job's end stands for, an interrupt aside.
func outcomeCode(j *muster.Job) int {
	l := &j.Ledger
	switch {
	case j.State == muster.StateCanceled:
		return exitInterrupted
	case j.State == muster.StateStopped && (j.Why == "error budget" || j.Why == "canary"):
		return exitStopped
	case l.Count(muster.Denied) == l.Targets && l.Targets > 0:
		return exitDenied
	case l.Answered() == 0:
		// --expect may have made failures ok: those targets did what was asked of them.
		return exitNoAnswer
	case l.Count(muster.OK) < l.Targets:
		return exitNotOK
	}
	return exitOK
}
