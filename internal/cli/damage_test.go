package cli_test

import (
	"database/sql"
	"testing"
)

// A run whose process died and whose rows are damaged is told, can be deleted, and keeps nobody
// from the other runs.
func TestDamagedRunDoesNotHideOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "127.38.1.0/24=hang")
	s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.38.0.[1-3]"))
	p := s.start("run", "http", "POST", "/", "-q", "-w", s.at("127.38.1.[1-3]"), "--timeout", "10m")
	s.awaitRequests(6)
	p.Process.Kill()
	p.end()
	db, err := sql.Open("sqlite", s.db())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	damaged, err := db.Exec("UPDATE reservation SET data = x'ffffffffffffffffffff'")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := damaged.RowsAffected(); n == 0 {
		t.Fatal("there is no reservation to damage")
	}
	ls := s.run(0, "job", "ls")
	wants(t, ls.out, `(?m) 3 +3 +0 `)
	wants(t, ls.err, "muster: interrupted runs could not be closed: close job ")
	s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.38.0.[1-3]"))
	s.run(0, "job", "rm", "last~1")
	if last := s.run(0, "job", "ls"); last.err.String() != "" {
		t.Errorf("after the damaged run was deleted:\n%s", last.err)
	}
}
