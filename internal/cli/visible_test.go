package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What targets and files say does not command a terminal, whichever command shows it.
func TestTerminalShowsEscapes(t *testing.T) {
	t.Parallel()
	const escape = "\x1b]0;owned\a"
	s := newSite(t)
	s.run(2, "run", "http", "GET", "/", "-q", "-w", s.at("127.35.0.1"), "--expect", `body == "`+escape+`"`)
	s.run(0, "run", "http", "GET", "/", "-q", "-w", s.at("127.35.0.1"))
	hosts := "id,address,v\n" + escape + "row," + s.at("127.35.0.1") + ",1\n" + escape + "bad," + s.at("127.35.0.2") + ",\n"
	if err := os.WriteFile(filepath.Join(s.dir, "hosts.csv"), []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
	}{
		{2, []string{"job", "diff", "--by", "reason"}},
		{0, []string{"job", "show", "last~1"}},
		{0, []string{"job", "ls"}},
		{0, []string{"run", "http", "GET", "/", "--hostfile", "hosts.csv", "--list"}},
		{2, []string{"run", "http", "GET", "/{{.v}}", "--hostfile", "hosts.csv", "--dry-run"}},
		{1, []string{"run", "http", "GET", "/{{.v}}", "--hostfile", "hosts.csv", "--check"}},
		{1, []string{"job", "show", escape}},
	} {
		tt := newTerminal(t, 140)
		p := s.command(c.args...)
		tt.run(p)
		p.exits(c.code)
		tt.await(t, "\x00$")
		if got := tt.String(); strings.Contains(got, "\x1b]") || strings.Contains(got, "\a") || !strings.Contains(got, `\x`) {
			t.Errorf("%q shows %q", c.args, got)
		}
	}
	// A file gets what was there.
	if got := s.run(0, "run", "http", "GET", "/", "--hostfile", "hosts.csv", "--list").out.String(); got != escape+"row\n"+escape+"bad\n" {
		t.Errorf("--list writes %q", got)
	}
}

// Whoever reads results gets those of a slow job while it goes on.
func TestResultsComeAtOnce(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"--jsonl", "--csv", "--display=all"} {
		s := newSite(t, "127.36.1.0/24=hang")
		p := s.start("run", "http", "GET", "/", "-w", s.at("127.36.0.1"), "-w", s.at("127.36.1.1"), "--timeout", "10m", format)
		p.out.await(t, `127\.36\.0\.1:`)
		s.fleet.Close()
		p.exits(2)
	}
}
