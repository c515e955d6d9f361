package store

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/musterhq/muster"
)

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
