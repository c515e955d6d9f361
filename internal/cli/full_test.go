package cli_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
	"github.com/musterhq/muster/sink"
)

// full skips a test of full size.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("MUSTER_FULL") == "" {
		t.Skip("set MUSTER_FULL=1, or say make test")
	}
}

// mixed is a fleet with a share of each behaviour.
func mixed(t *testing.T, mix string) *site {
	t.Helper()
	f := sim.Fleet{Seed: 3}
	if err := f.Mix.UnmarshalText([]byte(mix)); err != nil {
		t.Fatal(err)
	}
	return newSiteOf(t, f)
}

// document reads what --json printed.
func document(t *testing.T, p *proc) *sink.Summary {
	t.Helper()
	var doc sink.Summary
	if err := json.Unmarshal([]byte(p.out.String()), &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

// What the fleet says it received equals what the ledger claims, live and stored.
func TestFullLedgerEqualsFleet(t *testing.T) {
	full(t)
	const n = 100_000
	s := mixed(t, "ok*9000,slow:5ms-50ms*500,status:503*200,status:404*100,reset*100,close-early*50,garbage*40,hang*10")
	p := s.run(2, "run", "http", "GET", "/status", "-w", s.at("127.[70-71].[0-199].[1-250]"), "--json",
		"--group-by", "status", "--group-by", "outcome", "--group-by", "failure")
	live := document(t, p)
	st := s.fleet.Stats()
	l := &live.Ledger
	if !l.Closed() || l.Targets != n || st.Requests != n || st.DistinctAddresses != n || st.MaxHitsPerAddress != 1 {
		t.Errorf("ledger %s; the fleet received %d requests at %d addresses, %d at one", l, st.Requests, st.DistinctAddresses, st.MaxHitsPerAddress)
	}
	by := map[string]int{}
	for profile, n := range st.ByProfile {
		kind, _, _ := strings.Cut(profile, ":")
		by[kind] += int(n)
	}
	if l.Count(muster.OK) != by["ok"]+by["slow"] || l.Count(muster.Unexpected) != by["status"] ||
		l.Count(muster.Failed) != by["reset"]+by["close-early"]+by["garbage"]+by["hang"] {
		t.Errorf("ledger %s; the fleet did %v", l, st.ByProfile)
	}
	want := map[string]int{"reset": by["reset"], "protocol": by["close-early"] + by["garbage"], "timeout": by["hang"]}
	if !maps.Equal(live.Failures, want) {
		t.Errorf("failures %v, want %v", live.Failures, want)
	}

	p = s.run(0, "job", "rollup", "last", "--by", "status", "--by", "outcome", "--by", "failure", "--json")
	stored := document(t, p)
	if !reflect.DeepEqual(stored.Ledger, live.Ledger) || !reflect.DeepEqual(stored.Groups, live.Groups) || !maps.Equal(stored.Failures, live.Failures) {
		t.Errorf("the stored groups differ from the live ones:\n%+v\n%+v", stored, live)
	}
	p = s.run(0, "job", "results", "last")
	if lines := strings.Count(p.out.String(), "\n"); lines < n {
		t.Errorf("job results printed %d lines", lines)
	}
	rs := s.results("last")
	if len(rs) != n {
		t.Fatalf("%d results are stored", len(rs))
	}
	for o, n := range count(rs) {
		if l.Count(o) != n {
			t.Errorf("%d stored results are %s, the ledger says %d", n, o, l.Count(o))
		}
	}
}

func TestFullMillionInBoundedMemory(t *testing.T) {
	full(t)
	const n = 1_000_000
	s := mixed(t, "ok*999,status:503*1")
	p := s.run(2, "run", "http", "GET", "/status", "-w", s.at("127.[80-95].[0-249].[1-250]"), "--json", "--group-by", "status")
	l := &document(t, p).Ledger
	st := s.fleet.Stats()
	if !l.Closed() || l.Targets != n || l.Answered() != n || st.Requests != n {
		t.Errorf("ledger %s; the fleet received %d requests", l, st.Requests)
	}
	rss := p.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	t.Logf("%s; peak RSS %d MiB, %v user, %v system", p.err.lastLine(), rss, p.ProcessState.UserTime(), p.ProcessState.SystemTime())
	if rss > 512 {
		t.Errorf("peak RSS is %d MiB, want at most 512", rss)
	}
	if j := s.job("last"); j.State != muster.StateDone || !reflect.DeepEqual(j.Ledger.ByOutcome, l.ByOutcome) {
		t.Errorf("the record says %s, %s", j.State, &j.Ledger)
	}
}

// sh has a shell start the program, with its limits or streams changed by setup.
func (p *proc) sh(setup string) *proc {
	p.Path, p.Args = "/bin/sh", append([]string{"sh", "-c", setup, "sh"}, p.Args...)
	return p
}

// Few descriptors make a run slower, not wrong, and its status says so.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	s, silent := newSite(t), newSite(t, "*=hang")
	p := s.command("run", "http", "GET", "/", "-q", "-w", s.at("127.96.[0-9].[1-200]")).sh(`ulimit -n 64; exec "$@"`)
	p.begin()
	p.exits(0)
	wants(t, p.err, "^2000 targets: 2000 ok, 0 unexpected, 0 failed in ")
	if st := s.fleet.Stats(); st.Requests != 2000 || st.PeakOpen > 64 {
		t.Errorf("the fleet received %d requests, %d at once", st.Requests, st.PeakOpen)
	}

	p = s.command("run", "http", "GET", "/", "-q", "-w", silent.at("127.96.[0-9].[1-200]"), "--timeout", "10m").sh(`ulimit -n 64; exec "$@"`)
	p.begin()
	silent.awaitRequests(1)
	s.await("a state line that names descriptors", func(sim.Stats) bool {
		p.signal(syscall.SIGUSR1)
		return strings.Contains(p.err.String(), ": descriptors\n")
	})
}

// A reader that goes away ends the run quietly, and its record is closed.
func TestBrokenStdout(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"--jsonl", "--csv", "--display=all"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "127.97.1.0/24=hang")
			p := s.command("run", "http", "GET", "/", "-w", s.at("127.97.[2-99].[1-100]"), "-w", s.at("127.97.1.[1-100]"), format, "--timeout", "10m")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p.Stdout = w
			p.begin()
			w.Close()
			if _, err := r.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			r.Close()
			p.exits(1)
			if strings.Contains(p.err.String(), "pipe") {
				t.Errorf("it was not quiet:\n%s", p.err)
			}
			wants(t, p.err, "(?m)^stopped: output closed\n9900 targets: .*\n$")
			if j := s.job("last"); j.State != muster.StateCanceled || !j.Ledger.Closed() {
				t.Errorf("the record says %s, %s", j.State, &j.Ledger)
			}
		})
	}
}

// Nobody needs to listen to the messages.
func TestBrokenStderr(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.command("run", "http", "GET", "/", "-w", s.at("127.98.0.[1-100]"), "--jsonl")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	p.Stderr = w
	p.begin()
	w.Close()
	p.exits(0)
	whole(t, decode(t, p.out.String()), 100)
	whole(t, s.results("last"), 100)
}

// The streams that a daemon starts its children without are not needed either.
func TestClosedStreams(t *testing.T) {
	t.Parallel()
	for _, closing := range []string{"<&-", ">&-", "2>&-", "<&- >&- 2>&-"} {
		t.Run(closing, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			p := s.command("run", "http", "POST", "/", "-w", s.at("127.98.0.[1-100]"), "--jsonl").sh(`exec "$@" ` + closing)
			p.begin()
			p.exits(0)
			whole(t, s.results("last"), 100)
			if n := s.fleet.Stats().Requests; n != 100 {
				t.Errorf("the fleet received %d requests", n)
			}
		})
	}
}
