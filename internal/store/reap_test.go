package store

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

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
