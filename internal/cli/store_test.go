package cli_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
	"github.com/musterhq/muster/internal/store"
)

// stored reads the results of the last run as they are, without closing any run.
func (s *site) stored() map[int]muster.Result {
	s.t.Helper()
	st, err := store.Open(s.t.Context(), store.Config{Path: s.db(), ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer st.Close()
	rs := map[int]muster.Result{}
	for r, err := range st.Results(s.t.Context(), "last", store.Query{Bodies: true}) {
		if err != nil {
			s.t.Fatal(err)
		}
		rs[r.Index] = r
	}
	return rs
}

func (s *site) db() string { return filepath.Join(s.state, "muster.db") }

// spilled checks what a run says whose store broke, and reads the files that it names.
func (s *site) spilled(p *proc, why string) map[int]muster.Result {
	s.t.Helper()
	p.exits(1)
	m := p.err.await(s.t, `(?m)^muster: .*; (\d+) results are in (.*)$`)
	wants(s.t, p.err, why)
	if last := p.err.lastLine(); !strings.Contains(last, " targets: ") {
		s.t.Errorf("the last line is not the account but %q", last)
	}
	var lines bytes.Buffer
	for path := range strings.SplitSeq(m[2], ", ") {
		b, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		lines.Write(b)
	}
	rs := decode(s.t, lines.String())
	if fmt.Sprint(len(rs)) != m[1] {
		s.t.Errorf("%d results are in %s, the message says %s", len(rs), m[2], m[1])
	}
	return rs
}

// whole fails unless the results are those of n ok targets, each with its body.
func whole(t testing.TB, rs map[int]muster.Result, n int) {
	t.Helper()
	for i := range n {
		if r, ok := rs[i]; !ok || r.Outcome != muster.OK || len(r.Body) == 0 {
			t.Fatalf("target %d of %d: %+v", i, n, r)
		}
	}
	if len(rs) != n {
		t.Errorf("%d results of %d targets", len(rs), n)
	}
}

func TestStoreDiskFull(t *testing.T) {
	t.Parallel()
	f := sim.Fleet{Seed: 1}
	// Slow enough for many small commits, of which the first ones still find room.
	if err := errors.Join(f.Mix.UnmarshalText([]byte("slow:10ms")), f.Body.UnmarshalText([]byte("{{hex 4000}}"))); err != nil {
		t.Fatal(err)
	}
	s := newSiteOf(t, f)
	// No file may be larger than 1 MiB: the store fails, then each folder in turn.
	p := s.command("run", "http", "GET", "/", "-q", "-w", s.at("127.60.[1-6].[1-100]"), "-f", "20!").sh(`ulimit -f 2048; exec "$@"`)
	p.begin()
	spilled := s.spilled(p, "the disk is full|cannot be used")
	stored := s.stored()
	if len(spilled) == 0 || len(stored) == 0 {
		t.Errorf("%d results in files, %d in the store: the test is beside the point", len(spilled), len(stored))
	}
	for i := range spilled {
		if _, ok := stored[i]; ok {
			t.Errorf("target %d is in both places", i)
		}
	}
	maps.Copy(stored, spilled)
	whole(t, stored, 600)
	wants(t, p.err, `(?m)^600 targets: 600 ok, 0 unexpected, 0 failed in `)

	// With room again, the next command closes the run and takes back what was spilled, unless the
	// store still took the end of the run: then whoever looks at the results is told.
	j := s.job("last")
	if l := &j.Ledger; l.Count(muster.OK) != 600 {
		t.Errorf("the record says %s, %s", j.State, l)
	}
	ps := s.run(0, "job", "results", "last", "--jsonl")
	got := decode(t, ps.out.String())
	if j.State == muster.StateDone {
		wants(t, ps.err, fmt.Sprintf(`(?m)^muster: %d results of run %s are not in the store but in `, len(spilled), j.ID))
		maps.Copy(got, spilled)
	}
	whole(t, got, 600)
}

// spoil makes the store of a site unusable.
type spoil struct {
	name   string
	do     func(t *testing.T, s *site)
	why    string
	beside bool // a file beside the store can be written
}

func spoils() []spoil {
	replace := func(t *testing.T, path string, b []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noise := bytes.Repeat([]byte("not a database\n"), 10_000)
	return []spoil{
		{"a file in place of the folder", func(t *testing.T, s *site) { replace(t, s.state, nil) }, "not a directory", false},
		{"a folder in place of the file", func(t *testing.T, s *site) {
			if err := os.MkdirAll(s.db(), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "cannot be used|is a directory", true},
		{"a folder that cannot be made", func(t *testing.T, s *site) {
			s.env, s.state = append(s.env, "MUSTER_STATE_DIR=/proc/self/muster"), "/proc/self/muster"
		}, "/proc/self/muster", false},
		{"noise", func(t *testing.T, s *site) { replace(t, s.db(), noise) }, "damaged or no store", true},
		{"cut short", func(t *testing.T, s *site) {
			s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.61.9.[1-9]"))
			s.fleet.Reset()
			if err := os.Truncate(s.db(), 8<<10+1); err != nil {
				t.Fatal(err)
			}
		}, "damaged", true},
		{"noise after the head", func(t *testing.T, s *site) {
			s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.61.9.[1-9]"))
			s.fleet.Reset()
			b, err := os.ReadFile(s.db())
			if err != nil {
				t.Fatal(err)
			}
			copy(b[8<<10:], noise)
			replace(t, s.db(), b)
		}, "damaged", true},
	}
}

// Whatever the store is like, the run goes on: every target once, every result in a file. Only what
// must not be repeated needs a place beside the store, where the next command would look.
func TestStoreBroken(t *testing.T) {
	t.Parallel()
	for _, sp := range spoils() {
		for _, method := range []string{"GET", "POST"} {
			t.Run(sp.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				sp.do(t, s)
				p := s.start("run", "http", method, "/", "-w", s.at("127.61.[0-1].[1-100]"), "--json")
				rs := s.spilled(p, sp.why)
				if method == "POST" && !sp.beside {
					s.nothingSent(p, rs)
					return
				}
				whole(t, rs, 200)
				if st := s.fleet.Stats(); st.Requests != 200 || st.MaxHitsPerAddress != 1 {
					t.Errorf("the fleet received %d requests, %d at one address", st.Requests, st.MaxHitsPerAddress)
				}
				var doc struct{ Ledger muster.Ledger }
				if err := json.Unmarshal([]byte(p.out.String()), &doc); err != nil || doc.Ledger.Count(muster.OK) != 200 {
					t.Errorf("%v; the document's ledger is %s", err, &doc.Ledger)
				}
				ls := s.run(1, "job", "ls")
				wants(t, ls.err, "(?m)^muster: .*"+sp.why)
			})
		}
	}
}

// nothingSent checks a run that found no place to note what must not be repeated.
func (s *site) nothingSent(p *proc, rs map[int]muster.Result) {
	s.t.Helper()
	wants(s.t, p.err, "(?m)^muster: the store cannot be used: .*: what must not be repeated is sent only .*--no-save", "(?m)^stopped: journal: ")
	if n := count(rs)[muster.NotAttempted]; n != 200 || s.fleet.Stats().Connections > 0 {
		s.t.Errorf("%d of 200 targets were not attempted, the fleet has seen %d connections", n, s.fleet.Stats().Connections)
	}
}

// Who wants nothing stored is not told that nothing can be.
func TestStoreBrokenNoSave(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.WriteFile(s.state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.run(0, "run", "http", "POST", "/", "-q", "-w", s.at("127.61.0.[1-9]"), "--no-save")
	if n := strings.Count(p.err.String(), "\n"); n != 1 {
		t.Errorf("more than the account:\n%s", p.err)
	}
}

// lock holds the store's write lock until unlock is called.
func (s *site) lock() (unlock func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.db()+"?_pragma=busy_timeout(30000)")
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		s.t.Fatal(err)
	}
	held := true
	unlock = func() {
		if !held {
			return
		}
		held = false
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		if err != nil || conn.Close() != nil || db.Close() != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(unlock)
	return unlock
}

func TestStoreLockedFromTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.62.0.1"))
	defer s.lock()()
	p := s.start("run", "http", "GET", "/", "-q", "-w", s.at("127.62.0.[1-100]"))
	whole(t, s.spilled(p, "another process keeps it locked"), 100)
}

// A lock that is taken in the middle of a run, and the death of both: nothing is sent
// twice, and the next command gathers the pieces.
func TestStoreLockedInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s, silent := newSite(t), newSite(t, "*=hang")
			p := s.start("run", "http", method, "/", "-q", "-w", s.at("127.62.1.[1-40]"), "-w", silent.at("127.62.2.[1-10]"),
				"-w", s.at("127.62.3.[1-100]"), "-f", "10!", "--timeout", "10m")
			silent.awaitRequests(10)
			unlock := s.lock()
			silent.fleet.Close() // the run goes on
			s.awaitRequests(140)
			spilled := s.spilled(p, "another process keeps it locked")
			if len(spilled) < 100 {
				t.Errorf("%d results were spilled", len(spilled))
			}
			unlock()
			wants(t, s.run(0, "job", "ls").err, "was interrupted; closed: 150 targets: 140 ok, 0 unexpected, 10 failed")
			got := s.results("last")
			maps.DeleteFunc(got, func(_ int, r muster.Result) bool { return r.Outcome == muster.Failed })
			if len(got) != 140 {
				t.Errorf("%d of 140 results are stored in the end", len(got))
			}
			if st := s.fleet.Stats(); st.MaxHitsPerAddress != 1 {
				t.Errorf("an address was hit %d times", st.MaxHitsPerAddress)
			}
		})
	}
}

// Runs that share a store do not get into each other's way.
func TestStoreShared(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 10} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			var ps []*proc
			for i := range n {
				method := []string{"GET", "POST"}[i%2]
				ps = append(ps, s.start("run", "http", method, "/", "-q", "-w", s.at(fmt.Sprintf("127.63.%d.[1-200]", i))))
			}
			for _, p := range ps {
				p.exits(0)
				wants(t, p.err, "^200 targets: 200 ok, 0 unexpected, 0 failed in .*\n$")
			}
			var jobs []muster.Job
			if err := json.Unmarshal([]byte(s.run(0, "job", "ls", "--json", "-n", "0").out.String()), &jobs); err != nil {
				t.Fatal(err)
			}
			if len(jobs) != n {
				t.Errorf("%d runs are stored, want %d", len(jobs), n)
			}
			for _, j := range jobs {
				if j.State != muster.StateDone || j.Ledger.Count(muster.OK) != 200 {
					t.Errorf("%s: %s, %s", j.ID, j.State, &j.Ledger)
				}
				whole(t, s.results(j.ID), 200)
			}
			if st := s.fleet.Stats(); st.Requests != uint64(200*n) || st.MaxHitsPerAddress != 1 {
				t.Errorf("the fleet received %d requests, %d at one address", st.Requests, st.MaxHitsPerAddress)
			}
		})
	}
}
