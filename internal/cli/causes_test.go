package cli_test

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// The end of a run that failed says why, in few lines, the most frequent cause first.
func TestCausesAreTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, "127.37.1.0/24=status:503", "127.37.2.0/24=reset", "127.37.3.0/24=status:500", "127.37.4.0/24=status:501",
		"127.37.5.0/24=status:502", "127.37.6.0/24=status:504")
	args := []string{"run", "http", "GET", "/", "-w", s.at("127.37.[0-1].[1-12]"), "-w", s.at("127.37.2.[1-9]"), "-w", s.at("127.37.[3-5].[1-3]"), "-w", s.at("127.37.6.1")}
	p := s.run(2, args...)
	wants(t, p.err, `(?m)^ {5}12 unexpected \(status 503\): 127\.37\.1\.\[1-12\]:\d+\n {6}9 failed \(reset\): 127\.37\.2\.\[1-9\]:\d+\n`+
		`( {6}3 unexpected \(status 50[012]\): .*\n){3} {6}1 for other reasons\n43 targets: `)
	for _, flag := range []string{"-q", "--jsonl", "--json", "--csv", "-b", "--group-by=outcome"} {
		if p := s.run(2, append(args, flag)...); strings.Contains(p.err.String(), "status 503") {
			t.Errorf("%s: standard error is\n%s", flag, p.err)
		}
	}
	if p := s.run(0, "run", "http", "GET", "/", "-w", s.at("127.37.0.1")); strings.Count(p.err.String(), "\n") != 1 {
		t.Errorf("a run that went well says\n%s", p.err)
	}
	tt := newTerminal(t, 70)
	p = s.command("run", "http", "GET", "/", "--display", "none", "-w", s.at("127.37.1.[1-99/2]"))
	tt.run(p)
	p.exits(2)
	tt.await(t, `50 unexpected \(status 503\): 127`)
	for _, line := range tt.seen() {
		if strings.Contains(line, "(status 503): ") && utf8.RuneCountInString(line) > 70 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
}
