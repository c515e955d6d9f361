package store

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

// damage changes rows behind the store's back.
func damage(t *testing.T, s *Store, text string, args ...any) {
	t.Helper()
	err := s.write(t.Context(), false, func(x *tx) error {
		n, err := x.exec(text, args...)
		if err == nil && n == 0 {
			err = errors.New("there is no such row")
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// killedRun leaves the job of a process that was killed after some acknowledged steps.
func killedRun(t *testing.T, cfg Config, id string, steps int) {
	t.Helper()
	c := child(t, "never", cfg.Path, id)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); steps-- {
		if steps > 0 {
			continue
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := c.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

// One damaged run does not keep the others from being closed, and can be looked at and deleted.
func TestKilledAndDamagedRun(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	for i := range 3 {
		killedRun(t, cfg, testJob(i).ID, 20)
	}
	bad := testJob(1).ID
	damage(t, s, `UPDATE reservation SET data = x'ffff' WHERE id = (SELECT num << 24 FROM job WHERE id = ?)`, bad)
	for _, want := range []int{2, 0} {
		closed, err := s.Reap(t.Context())
		if len(closed) != want || slices.ContainsFunc(closed, func(j muster.Job) bool { return j.ID == bad }) {
			t.Errorf("closed %+v", closed)
		}
		if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "delete the run") {
			t.Errorf("reap: %v", err)
		}
	}
	jobs, err := s.Jobs(t.Context(), Filter{})
	if err != nil || len(jobs) != 3 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	for i := range 3 {
		if n := len(collect(t, s, testJob(i).ID, Query{})); i == 1 != (n < childTargets) || n == 0 {
			t.Errorf("job %d has %d results", i, n)
		}
	}
	if err := s.Delete(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	if closed, err := s.Reap(t.Context()); err != nil || len(closed) != 0 {
		t.Errorf("after the deletion: %d, %v", len(closed), err)
	}
	if jobs, rows := count(t, s, "job"), count(t, s, "reservation"); jobs != 2 || rows != 0 {
		t.Errorf("%d jobs, %d reservations", jobs, rows)
	}
}

// Whichever of its rows is damaged, a dead job is listed, told of, and can be deleted.
func TestDamagedRowsOfADeadJob(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"reservation": `UPDATE reservation SET data = x'ffff' WHERE id >> 24 = ?`,
		"head":        `UPDATE segment SET head = x'00' WHERE id >> 24 = ?`,
		"segment":     `DELETE FROM segment WHERE id >> 24 = ?`,
		"counts":      `UPDATE job SET counts = '{' WHERE num = ?`,
		"targets":     `UPDATE job SET targets = -1 WHERE num = ?`,
		"spec":        `UPDATE job SET spec = x'0102' WHERE num = ?`,
		"owner":       `UPDATE job SET owner = '{"host":"a","pid":"' WHERE num = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, testConfig(t))
			for i := range 2 {
				r := begin(t, s, deadJob(i), 100)
				write(t, r, results(0, 50))
				if err := r.Reserve(t.Context(), []int{60}); err != nil {
					t.Fatal(err)
				}
			}
			damage(t, s, text, 1)
			bad, good := testJob(0).ID, testJob(1).ID
			closed, err := s.Reap(t.Context())
			if len(closed) != 1 || closed[0].ID != good || err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("closed %+v, %v", closed, err)
			}
			if jobs, err := s.Jobs(t.Context(), Filter{}); err != nil || len(jobs) != 2 || jobs[1].ID != bad {
				t.Errorf("jobs %+v, %v", jobs, err)
			}
			if n := len(collect(t, s, good, Query{})); n != 100 {
				t.Errorf("%d results of the other job", n)
			}
			if err := s.Delete(t.Context(), bad, good, "last"); err != nil {
				t.Error(err)
			}
			for _, table := range []string{"job", "list", "segment", "reservation"} {
				if n := count(t, s, table); n != 0 {
					t.Errorf("%d rows left in %s", n, table)
				}
			}
		})
	}
}

// A finished job whose row is damaged is told of by what needs it.
func TestDamagedJobIsToldOf(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	record(t, s, testJob(1), 10)
	damage(t, s, `UPDATE job SET spec = x'0102'`)
	if _, err := s.Job(t.Context(), "last"); muster.KindOf(err) != muster.KindUnavailable || !strings.Contains(err.Error(), "spec") {
		t.Errorf("job: %v", err)
	}
	if err := s.Delete(t.Context(), "last"); err != nil {
		t.Error(err)
	}
}

// A job that lost the numbers of its bodies takes none from others.
func TestDamagedReferencesLeaveBodies(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	rs := results(0, 1)
	rs[0].Body = bytes.Repeat([]byte("large "), smallBody)
	for i := range 2 {
		job := testJob(i)
		r := begin(t, s, job, 1)
		write(t, r, rs)
		finish(t, r, job)
	}
	damage(t, s, `UPDATE segment SET refs = x'0202ff' WHERE id >> 24 = 1`)
	if err := s.Delete(t.Context(), testJob(0).ID); err != nil {
		t.Fatal(err)
	}
	r, err := s.Result(t.Context(), "last", 0)
	if err != nil || !bytes.Equal(r.Body, rs[0].Body) {
		t.Errorf("body of %d bytes, %v", len(r.Body), err)
	}
}

// The spill file of a dead job goes with it.
func TestDeleteRemovesTheSpillOfADeadJob(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	job := deadJob(1)
	begin(t, s, job, 10)
	leaveSpill(t, cfg, job.ID, results(0, 5))
	if err := s.Delete(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(cfg.Path), spillName(job.ID))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("spill file: %v", err)
	}
}

// A dead job that another process has taken to close it is not deleted under its hands.
func TestDeleteLeavesAJobThatIsTaken(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	begin(t, s, deadJob(1), 10)
	j, err := s.lookUp(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	damage(t, s, `UPDATE job SET owner = '{"pid":1}'`)
	if err := s.remove(t.Context(), j.num, j.owner); !errors.Is(err, errTaken) {
		t.Errorf("remove: %v", err)
	}
	if n := len(must(s.Jobs(t.Context(), Filter{}))); n != 1 {
		t.Errorf("%d jobs", n)
	}
}
