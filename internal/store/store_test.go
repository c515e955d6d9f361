package store

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/musterhq/muster"
)

func TestJobComesBack(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	job := testJob(1)
	record(t, s, job, 12_345)

	got, err := s.Job(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*job, got); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	if !got.Ledger.Closed() || got.Ledger.Count(muster.OK) != 12_345 {
		t.Errorf("ledger: %s", got.Ledger.String())
	}
	rs := collect(t, s, job.ID, Query{Bodies: true})
	if len(rs) != 12_345 {
		t.Fatalf("%d results", len(rs))
	}
	for i := range rs {
		want := okResult(i)
		want.Target = rs[i].Address.Addr().String()
		if diff := cmp.Diff(want, rs[i], cmpopts.EquateComparable(want.Address)); diff != "" {
			t.Fatalf("result %d (-want +got):\n%s", i, diff)
		}
	}
	c, err := s.Counts(t.Context(), job.ID)
	if err != nil || c.Codes[200] != 12_345 || c.Stored != 12_345 || c.SpillPaths != nil {
		t.Errorf("counts %+v, %v", c, err)
	}
}

func TestJobRef(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	if _, err := s.Job(t.Context(), "last"); muster.KindOf(err) != muster.KindNotFound {
		t.Errorf("empty store: %v", err)
	}
	for i := range 3 {
		record(t, s, testJob(100+i), 1)
	}
	for ref, want := range map[string]string{
		"last": "261120-000102-abcd", "last~0": "261120-000102-abcd", "last~2": "261120-000100-abcd",
		"261120-000101": "261120-000101-abcd", "261120-000100-abcd": "261120-000100-abcd",
	} {
		if j, err := s.Job(t.Context(), ref); err != nil || j.ID != want {
			t.Errorf("%s: %s, %v", ref, j.ID, err)
		}
	}
	for ref, kind := range map[string]muster.Kind{
		"last~3": muster.KindNotFound, "x": muster.KindNotFound, "": muster.KindNotFound, "26112": muster.KindInvalid,
	} {
		if _, err := s.Job(t.Context(), ref); muster.KindOf(err) != kind {
			t.Errorf("%q: %v", ref, err)
		}
	}
	_, err := s.Job(t.Context(), "2611")
	if err == nil || !strings.Contains(err.Error(), "261120-000101-abcd") {
		t.Errorf("candidates: %v", err)
	}
}

func TestJobsFilter(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	for i := range 4 {
		j := testJob(i)
		if i == 2 {
			j.User = "bob"
		}
		record(t, s, j, 1)
	}
	open := testJob(4)
	begin(t, s, open, 1)
	ids := func(f Filter) string {
		js, err := s.Jobs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, j := range js {
			b.WriteByte(j.ID[12])
		}
		return b.String()
	}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "43210"},
		{Filter{Limit: 2}, "43"},
		{Filter{User: "bob"}, "2"},
		{Filter{States: []muster.JobState{muster.StateRunning, muster.StatePaused}}, "4"},
		{Filter{Before: testJob(2).Created}, "10"},
		{Filter{Since: testJob(3).Created, User: "ann"}, "43"},
	} {
		if got := ids(c.f); got != c.want {
			t.Errorf("%+v: %s, want %s", c.f, got, c.want)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	openTest(t, cfg)
	for p, want := range map[string]os.FileMode{cfg.Path: 0o600, filepath.Dir(cfg.Path): 0o700, cfg.Path + "-wal": 0o600} {
		if st, err := os.Stat(p); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", p, st.Mode(), err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ro := cfg
	ro.ReadOnly = true
	if _, err := Open(t.Context(), ro); muster.KindOf(err) != muster.KindUnavailable {
		t.Errorf("missing file: %v", err)
	}
	s := openTest(t, cfg)
	record(t, s, testJob(1), 3)
	r := openTest(t, ro)
	if n := len(collect(t, r, "last", Query{})); n != 3 {
		t.Errorf("%d results", n)
	}
	if err := r.Delete(t.Context(), "last"); muster.KindOf(err) != muster.KindDenied {
		t.Errorf("delete: %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	record(t, openTest(t, cfg), testJob(1), 1)
	setVersion(t, cfg)
	_, err := Open(t.Context(), cfg)
	if muster.KindOf(err) != muster.KindConflict || !strings.Contains(err.Error(), "newer muster") {
		t.Errorf("error: %v", err)
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	db := rawDB(t, cfg)
	if _, err := db.Exec("CREATE TABLE bookmarks (url TEXT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg); muster.KindOf(err) != muster.KindConflict {
		t.Errorf("error: %v", err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path, []byte(strings.Repeat("no database ", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), cfg)
	if muster.KindOf(err) != muster.KindUnavailable || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("error: %v", err)
	}
}

// rawDB opens the file of a store beside the store.
func rawDB(t *testing.T, cfg Config) *sql.DB {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.BusyTimeout = DefaultBusyTimeout
	db, err := openDB(dsn(cfg), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func setVersion(t *testing.T, cfg Config) {
	t.Helper()
	if _, err := rawDB(t, cfg).Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
}
