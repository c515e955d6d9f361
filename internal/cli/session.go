package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
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
	sound  bool            // the store has everything
	engine *fanout.Run
	report *report

	out, err    *leash      // standard output and error, given up when the user does
	notices     chan string // what the signals have to say, printed by watch
	interrupted atomic.Bool

	screen sync.Mutex // one writer on the terminal at a time; guards bar and err
	bar    progress
}

func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	aborted, abort := context.WithCancel(context.Background())
	defer abort()
	s.out, s.err = &leash{w: s.p.Out, slack: aborted.Done()}, &leash{w: s.p.Err, slack: aborted.Done()}
	s.notices = make(chan string, 2)
	s.job = newJob(s.spec, s.list, commandLine(s.p.args), time.Now())
	s.job.Duplicates = s.duplicates
	var err error
	if s.report, err = newReport(s); err != nil { // before there is a record that it would leave behind
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close()
	s.engine = s.work.Start(s.list, s.reserve())
	s.bar = progress{out: s.err, tty: isTerminal(s.p.Err), width: terminalWidth(s.p.Err)}
	release := s.p.interrupts(ctx, func(sig os.Signal) {
		if s.interrupt(sig) {
			cancel(errInterrupted)
			abort()
		}
	})
	stop := s.attend(ctx)
	writeErr := s.consume(ctx, cancel)
	stop()
	s.job.State, s.job.Why = s.engine.End()
	s.job.Finished = time.Now().UTC()
	s.job.Ledger = s.engine.Status().Ledger
	stored := s.settle()
	release() // from here on an interrupt ends the process: all that must be kept is
	return s.finish(writeErr, stored)
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
		if err := s.show(ctx, batch); err != nil {
			failed = err
			cancel(errors.New("output closed"))
		}
	}
	return failed
}

// show hands a batch to the report. Where that is the terminal on which the bar is drawn, the
// bar makes room; elsewhere a slow reader must not keep the screen from everybody else.
func (s *session) show(ctx context.Context, batch []muster.Result) error {
	if s.report.direct {
		s.screen.Lock()
		defer s.screen.Unlock()
		s.bar.clear()
	}
	return s.report.write(ctx, batch)
}

// attend starts what goes on beside the run: progress, state on demand. The returned
// function ends it all and waits for it.
func (s *session) attend(ctx context.Context) (stop func()) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.watch(ctx) })
	wg.Go(func() { s.report.keepFlushed(ctx) })
	if isTerminal(s.p.In) && s.bar.tty {
		wg.Go(func() { watchEnter(ctx, s.printState) })
	}
	return func() {
		end()
		wg.Wait()
		s.bar.clear()
	}
}

func (s *session) watch(ctx context.Context) {
	ticker := time.NewTicker(s.bar.every())
	defer ticker.Stop()
	silent := s.req.output.quiet || s.req.output.noProgress
	for {
		select {
		case <-ctx.Done():
			s.printNotices()
			return
		case <-ticker.C:
			if !silent {
				s.screen.Lock()
				s.bar.update(s.engine.Status())
				s.screen.Unlock()
			}
		case <-s.p.Show:
			s.printState()
		case text := <-s.notices:
			s.print(text)
		}
	}
}

// printNotices prints what came too late for watch.
func (s *session) printNotices() {
	for {
		select {
		case text := <-s.notices:
			s.print(text)
		default:
			return
		}
	}
}

// printState prints the state of the run.
func (s *session) printState() { s.print(stateLine(s.engine.Status())) }

// print prints a line of its own.
func (s *session) print(text string) {
	s.screen.Lock()
	defer s.screen.Unlock()
	s.bar.clear()
	fmt.Fprintln(s.err, text)
}

// interrupt drains on the first signal and has the run aborted on the second. It never
// waits, for a screen least of all: what it has to say is printed by watch.
func (s *session) interrupt(sig os.Signal) (abort bool) {
	if s.interrupted.Swap(true) {
		s.notify("muster: stopping at once")
		return true
	}
	s.engine.Drain("interrupted")
	st := s.engine.Status()
	left := st.Ledger.Targets - st.Ledger.Ended() - st.InFlight
	s.notify(fmt.Sprintf("muster: %v: waiting for %d under way, %d will not be attempted; once more stops at once", sig, st.InFlight, left))
	return false
}

func (s *session) notify(text string) {
	select {
	case s.notices <- text:
	default: // a third interrupt has nothing to add
	}
}

// finish reports the end: what is known only now, the account, the exit code.
func (s *session) finish(writeErr error, stored bool) error {
	err := s.report.finish(&s.job)
	if s.report.causes != nil {
		s.explain()
	}
	s.account()
	switch {
	case s.interrupted.Load():
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

// explain says what went wrong, on lines that fit a terminal.
func (s *session) explain() {
	width := 0
	if s.bar.tty {
		width = s.bar.width
	}
	s.report.causes.print(s.err, s.list, width)
}

// account prints the last line of standard error: the ledger.
func (s *session) account() {
	d := s.job.Finished.Sub(s.job.Started)
	l := &s.job.Ledger
	attempted := l.Ended() - l.Count(muster.NotAttempted) - l.Count(muster.Invalid) - l.Count(muster.Denied)
	rate := float64(attempted) / max(d.Seconds(), 1e-3)
	if s.job.Why != "" {
		fmt.Fprintf(s.err, "stopped: %s\n", s.job.Why)
	}
	fmt.Fprintf(s.err, "%s in %s (%s/s)\n", s.job.Ledger.String(), shortDuration(d), short(rate))
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
