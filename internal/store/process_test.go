package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// The tests of this file run this binary again as other processes.
const childMode, childPath, childJob = "STORE_TEST_MODE", "STORE_TEST_PATH", "STORE_TEST_JOB"

func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := runChild(mode); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const childTargets = 3000

func runChild(mode string) error {
	ctx := context.Background()
	job := testJob(0)
	job.ID = os.Getenv(childJob)
	cfg := Config{Path: os.Getenv(childPath), Encode: encodeLine}
	s, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Begin(ctx, job, rangeList{n: childTargets})
	if err != nil {
		return err
	}
	switch mode {
	case "never":
		return childNever(ctx, r)
	case "whole":
		return childWhole(ctx, r, job)
	case "full":
		return childFull(ctx, r)
	case "spill":
		return childSpill(ctx, r, cfg)
	}
	return fmt.Errorf("mode %q", mode)
}

// childNever reserves and writes until it is killed, and says what was acknowledged.
func childNever(ctx context.Context, r *Recorder) error {
	for from := 0; from+50 <= childTargets; from += 50 {
		if err := r.Reserve(ctx, collectSeq(from, from+50)); err != nil {
			return err
		}
		fmt.Println("reserved", from, from+50)
		for k := from; k < from+40; k += 10 {
			if err := r.Write(ctx, results(k, k+10)); err != nil {
				return err
			}
			fmt.Println("wrote", k, k+10)
		}
	}
	_, err := io.ReadAll(os.Stdin)
	return err
}

func collectSeq(from, to int) []int {
	ns := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		ns = append(ns, i)
	}
	return ns
}

// childWhole records a job in small writes.
func childWhole(ctx context.Context, r *Recorder, job *muster.Job) error {
	for from := 0; from < childTargets; from += 20 {
		if err := r.Write(ctx, results(from, from+20)); err != nil {
			return err
		}
	}
	job.State = muster.StateDone
	if err := r.Finish(ctx, job); err != nil {
		return err
	}
	return r.Close()
}

// childFull lets no file grow beyond a size that the store soon needs.
func childFull(ctx context.Context, r *Recorder) error {
	signal.Ignore(syscall.SIGXFSZ)
	lim := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lim); err != nil {
		return err
	}
	rs := distinctResults(childTargets)
	for from := 0; from < childTargets; from += 20 {
		if err := r.Write(ctx, rs[from:from+20]); err != nil {
			return err
		}
	}
	_, path, err := r.Health()
	fmt.Println(path)
	fmt.Println(err)
	return nil
}

// childSpill loses its store half way, spills, and dies without a word.
func childSpill(ctx context.Context, r *Recorder, cfg Config) error {
	if err := r.Write(ctx, results(0, 100)); err != nil {
		return err
	}
	if err := os.Rename(cfg.Path, cfg.Path+".away"); err != nil {
		return err
	}
	if err := r.Write(ctx, results(100, 200)); err != nil {
		return err
	}
	if err := r.Reserve(ctx, []int{150, 250}); err != nil {
		return err
	}
	if err := os.Rename(cfg.Path+".away", cfg.Path); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// child starts this binary in a mode; the caller waits for it.
func child(t *testing.T, mode, path, job string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childMode+"="+mode, childPath+"="+path, childJob+"="+job)
	c.Stderr = os.Stderr
	return c
}

// A run that is killed at any point is closed by the next command, and its account tells the truth.
func TestKilledRunIsClosed(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{1, 2, 5, 6, 37, 120, 290} {
		cfg := testConfig(t)
		s := openTest(t, cfg)
		c := child(t, "never", cfg.Path, testJob(lines).ID)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		reserved, wrote := map[int]bool{}, map[int]bool{}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			if n == lines {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			note(t, sc.Text(), reserved, wrote)
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		in.Close()
		closed, err := s.Reap(t.Context())
		if err != nil || len(closed) != 1 {
			t.Fatalf("closed %d jobs, %v", len(closed), err)
		}
		checkInterrupted(t, s, closed[0], reserved, wrote)
	}
}

func note(t *testing.T, line string, reserved, wrote map[int]bool) {
	t.Helper()
	var word string
	var from, to int
	if _, err := fmt.Sscan(line, &word, &from, &to); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	set := map[string]map[int]bool{"reserved": reserved, "wrote": wrote}[word]
	for i := from; i < to; i++ {
		set[i] = true
	}
}

// checkInterrupted holds a closed job against what its process had acknowledged. What it
// did in the moment before its death may be there too, at most one step further.
func checkInterrupted(t *testing.T, s *Store, job muster.Job, reserved, wrote map[int]bool) {
	t.Helper()
	if job.State != muster.StateInterrupted || !job.Ledger.Closed() || job.Owner != (muster.Owner{}) {
		t.Errorf("job %s is %s: %s", job.ID, job.State, job.Ledger.String())
	}
	var l muster.Ledger
	ok, lost := 0, 0
	for r, err := range s.Results(t.Context(), job.ID, Query{ByIndex: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Index != l.Ended() {
			t.Fatalf("target %d follows %d", r.Index, l.Ended()-1)
		}
		l.Add(&r)
		switch {
		case r.Outcome == muster.OK:
			ok++
		case r.Outcome == muster.Lost && r.Reason == reasonInterrupted:
			lost++
		case wrote[r.Index] || reserved[r.Index] || r.Outcome != muster.NotAttempted:
			t.Fatalf("target %d is %s", r.Index, r.Outcome)
		}
	}
	l.Targets = childTargets
	if l != job.Ledger {
		t.Errorf("results say %s, job says %s", l.String(), job.Ledger.String())
	}
	if ok < len(wrote) || ok > len(wrote)+10*20 || ok+lost < len(reserved) {
		t.Errorf("%d ok of %d written, %d lost of %d reserved", ok, len(wrote), lost, len(reserved))
	}
}

func TestTwoReapersCloseAJobOnce(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	for i := range 4 {
		job := testJob(i)
		job.Owner = Self()
		job.Owner.Start++ // the pid now belongs to another process
		write(t, begin(t, s, job, 5000), results(0, 700))
	}
	alive := testJob(9)
	begin(t, s, alive, 10)
	var mu sync.Mutex
	times := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			other := must(Open(context.Background(), cfg))
			closed, err := other.Reap(context.Background())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, j := range closed {
				times[j.ID]++
				if j.Ledger.Count(muster.OK) != 700 || j.Ledger.Count(muster.NotAttempted) != 4300 {
					t.Errorf("ledger %s", j.Ledger.String())
				}
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		if n := times[testJob(i).ID]; n != 1 {
			t.Errorf("job %d was closed %d times", i, n)
		}
	}
	if j, err := s.Job(t.Context(), alive.ID); err != nil || j.State != muster.StateRunning {
		t.Errorf("living job: %s, %v", j.State, err)
	}
}

// The recorder of a job that was taken for dead cannot write to it any more.
func TestClosedUnderItsRecorder(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	job := testJob(1)
	job.Owner = muster.Owner{Host: thisHost(), Boot: "an earlier one", PID: 1}
	r := begin(t, s, job, 100)
	if closed, err := s.Reap(t.Context()); err != nil || len(closed) != 1 {
		t.Fatalf("%d, %v", len(closed), err)
	}
	spills(t, r, 0, 100, "closed or deleted by another process")
}

func TestForeignHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	now := time.Unix(1_800_000_000, 0)
	cfg.Now = func() time.Time { return now }
	s := openTest(t, cfg)
	job := testJob(1)
	job.Owner = muster.Owner{Host: "elsewhere", Boot: "b", PID: 1, Start: 5}
	begin(t, s, job, 10)
	for _, want := range []int{0, 1} {
		if closed, err := s.Reap(t.Context()); err != nil || len(closed) != want {
			t.Errorf("closed %d, want %d: %v", len(closed), want, err)
		}
		now = now.Add(ForeignAfter + time.Minute)
	}
}

func TestReapReadsTheSpillFile(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	c := child(t, "spill", cfg.Path, testJob(1).ID)
	if err := c.Run(); err == nil {
		t.Fatal("the child ended by itself")
	}
	closed, err := s.Reap(t.Context())
	if err != nil || len(closed) != 1 {
		t.Fatalf("%d, %v", len(closed), err)
	}
	l := closed[0].Ledger
	if l.Count(muster.OK) != 200 || l.Count(muster.Lost) != 1 || l.Count(muster.NotAttempted) != childTargets-201 {
		t.Errorf("ledger: %s", l.String())
	}
	r, err := s.Result(t.Context(), "last", 170)
	if err != nil || string(r.Body) != "body of target 170" {
		t.Errorf("spilled result: %+v, %v", r, err)
	}
}

// Four processes record at once, beside a fifth that is stopped in mid-run.
func TestProcessesWriteAtOnce(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	stopped := child(t, "never", cfg.Path, testJob(99).ID)
	in, err := stopped.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.Start(); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < childTargets*4/5; {
		js, err := s.Jobs(t.Context(), Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(js) > 0 {
			done = js[0].Ledger.Ended()
		}
	}
	// It waits for its input now, with the job open.
	if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		c := child(t, "whole", cfg.Path, testJob(i).ID)
		wg.Go(func() {
			if err := c.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := stopped.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := stopped.Wait(); err != nil {
		t.Error(err)
	}
	for i := range 4 {
		rs := collect(t, s, testJob(i).ID, Query{ByIndex: true})
		if len(rs) != childTargets {
			t.Errorf("job %d: %d results", i, len(rs))
		}
	}
	if n := count(t, s, "list"); n != 1 {
		t.Errorf("%d lists", n)
	}
}

func TestFullDiskSpills(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	c := child(t, "full", cfg.Path, testJob(1).ID)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	path, why, _ := strings.Cut(string(out), "\n")
	spilled := lines(t, path)
	s := openTest(t, cfg)
	stored := collect(t, s, "last", Query{})
	if len(stored)+len(spilled) != childTargets || len(stored) == 0 || len(spilled) == 0 {
		t.Errorf("%d stored, %d spilled: %s", len(stored), len(spilled), why)
	}
	if !strings.Contains(why, "results are in "+path) {
		t.Errorf("message: %s", why)
	}
	closed, err := s.Reap(t.Context())
	if err != nil || len(closed) != 1 || closed[0].Ledger.Count(muster.OK) != childTargets {
		t.Errorf("closed %d: %v", len(closed), err)
	}
}

// Stores of one process on one file share it, readers included.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			other := must(Open(context.Background(), cfg))
			job := testJob(i)
			r := must(other.Begin(context.Background(), job, rangeList{first: i, n: 2000}))
			for _, k := range rand.Perm(100) {
				if err := r.Write(context.Background(), results(k*20, k*20+20)); err != nil {
					t.Error(err)
				}
			}
			job.State = muster.StateDone
			if err := r.Finish(context.Background(), job); err != nil {
				t.Error(err)
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := s.Jobs(context.Background(), Filter{}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range 4 {
		if n := len(collect(t, s, testJob(i).ID, Query{})); n != 2000 {
			t.Errorf("job %d: %d results", i, n)
		}
	}
}
