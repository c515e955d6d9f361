package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// lines reads a spill file's results by target.
func lines(t *testing.T, path string) map[int]spillLine {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[int]spillLine{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l spillLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", sc.Text(), err)
		}
		if l.Kind == "result" {
			got[l.Index] = l
		}
	}
	return got
}

// spills writes on after the store broke and checks that the rest is in the spill file.
func spills(t *testing.T, r *Recorder, from, to int, why string) string {
	t.Helper()
	if err := r.Write(t.Context(), results(from, to)); err != nil {
		t.Fatal(err)
	}
	ok, path, err := r.Health()
	if ok || path == "" || muster.KindOf(err) != muster.KindUnavailable || !strings.Contains(err.Error(), why) {
		t.Fatalf("health: %v, %q, %v", ok, path, err)
	}
	got := lines(t, path)
	for i := from; i < to; i++ {
		if l, ok := got[i]; !ok || l.Body != string(okResult(i).Body) {
			t.Fatalf("target %d: %+v", i, l)
		}
	}
	l := r.Ledger()
	if l.Ended() != to {
		t.Errorf("ledger: %s", l.String())
	}
	return path
}

func TestDeletedFileSpills(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	r := begin(t, s, testJob(1), 300)
	write(t, r, results(0, 100))
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	path := spills(t, r, 100, 200, "not there")
	if filepath.Dir(path) != filepath.Dir(cfg.Path) {
		t.Errorf("spilled to %s", path)
	}
	spills(t, r, 200, 300, "200 results are in "+path)
	if err := r.Close(); muster.KindOf(err) != muster.KindUnavailable {
		t.Errorf("close: %v", err)
	}
}

func TestReplacedFileSpills(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	r := begin(t, s, testJob(1), 100)
	if err := os.Rename(cfg.Path, cfg.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spills(t, r, 0, 100, "replaced")
}

// A lock that is held too long delays a write by the busy timeout, once.
func TestHeldLockSpills(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.BusyTimeout = time.Second // Open must do with it too, however busy the machine
	s := openTest(t, cfg)
	job := testJob(1)
	r := begin(t, s, job, 300)
	write(t, r, results(0, 100))
	held, err := rawDB(t, cfg).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.ExecContext(t.Context(), sqlBegin); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	path := spills(t, r, 100, 200, "locked")
	spills(t, r, 200, 300, "locked")
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("took %v", d)
	}
	if _, err := held.ExecContext(t.Context(), sqlRollback); err != nil {
		t.Fatal(err)
	}

	// The store is back: the end is stored, and says where the rest is.
	job.State = muster.StateDone
	if err := r.Finish(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	c, err := s.Counts(t.Context(), "last")
	if err != nil || !c.Ledger.Closed() || c.Stored != 100 || c.Spilled != 200 || c.SpillPaths[0] != path {
		t.Errorf("counts %+v, %v", c, err)
	}
	if n := len(collect(t, s, "last", Query{ByIndex: true})); n != 100 {
		t.Errorf("%d results", n)
	}
	if err := s.Delete(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("spill file after the job was deleted: %v", err)
	}
}

// A store that is broken from the start gives a recorder all the same.
func TestDamagedPageSpills(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openTest(t, cfg)
	record(t, s, testJob(1), 5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	for i := pageSize; i < len(b); i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(cfg.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, cfg)
	r, err := s.Begin(t.Context(), testJob(2), rangeList{n: 50})
	if err != nil {
		t.Fatal(err)
	}
	spills(t, r, 0, 50, "damaged")
	if _, err := s.Jobs(t.Context(), Filter{}); muster.KindOf(err) != muster.KindUnavailable {
		t.Errorf("jobs: %v", err)
	}
}

func TestDetached(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := Detached(cfg, testJob(1), 10, errors.New("no such luck"))
	spills(t, r, 0, 10, "no such luck")
	if err := r.Reserve(t.Context(), []int{1}); err != nil {
		t.Error(err)
	}
	job := testJob(1)
	job.State = muster.StateDone
	if err := r.Finish(t.Context(), job); err == nil || job.Ledger.Count(muster.OK) != 10 {
		t.Errorf("finish: %v, %s", err, job.Ledger.String())
	}
}

// Without any folder for a spill file the run goes on, and what was lost is counted.
func TestNothingTakesTheResults(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Encode = nil
	r := Detached(cfg, testJob(1), 10, errors.New("broken"))
	if err := r.Write(t.Context(), results(0, 10)); err != nil {
		t.Fatal(err)
	}
	ok, path, err := r.Health()
	if ok || path != "" || err == nil || !strings.Contains(err.Error(), "10 results were kept nowhere") {
		t.Errorf("health: %v %q %v", ok, path, err)
	}
	l := r.Ledger()
	if !l.Closed() {
		t.Errorf("ledger: %s", l.String())
	}
}

// A cancelled run still stores what it has.
func TestWriteOutlivesItsContext(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	r := begin(t, s, testJob(1), 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Write(ctx, results(0, 10)); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := r.Health(); !ok {
		t.Error(err)
	}
	if n := len(collect(t, s, "last", Query{})); n != 10 {
		t.Errorf("%d results", n)
	}
}

func TestSpillTriesTheNextFolder(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	// A file where the folder should be: nothing can be created in it.
	if err := os.WriteFile(filepath.Dir(cfg.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	job := testJob(int(time.Now().UnixNano() % 1_000_000))
	job.ID += fmt.Sprint("-", os.Getpid())
	r := Detached(cfg, job, 5, errors.New("broken"))
	path := spills(t, r, 0, 5, "broken")
	defer os.Remove(path)
	if filepath.Dir(path) != filepath.Clean(os.TempDir()) {
		t.Errorf("spilled to %s", path)
	}
}
