package cli_test

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// hanging starts a run of 100 targets that never answer, ten at once, and waits until
// ten requests have arrived.
func hanging(t *testing.T, args ...string) (*site, *proc) {
	t.Helper()
	s := newSite(t, "*=hang")
	p := s.start(append([]string{"run", "http", "GET", "/", "-w", s.at("127.30.0.[1-100]"), "-f", "10!", "--timeout", "10m"}, args...)...)
	s.awaitRequests(10)
	return s, p
}

// closed checks the record of a run that was told to stop.
func closed(t *testing.T, s *site, ended, left int) {
	t.Helper()
	j := s.job("last")
	if j.State != muster.StateCanceled || j.Why != "interrupted" || !j.Ledger.Closed() ||
		j.Ledger.Count(muster.NotAttempted) != left || j.Ledger.Targets != ended+left {
		t.Errorf("the record says %s (%s), %s; want canceled, %d not attempted", j.State, j.Why, &j.Ledger, left)
	}
	if n := s.fleet.Stats().Requests; n != uint64(ended) {
		t.Errorf("the fleet received %d requests, want %d", n, ended)
	}
}

func TestFirstInterruptDrains(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]os.Signal{"interrupt": os.Interrupt, "terminated": syscall.SIGTERM, "hangup": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(sig) {
				t.Skip("the tests were started to ignore it, as nohup does, and so is what they start")
			}
			s, p := hanging(t, "-q")
			p.signal(sig)
			p.err.await(t, "muster: "+name+": waiting for 10 under way, 90 will not be attempted; once more stops at once\n")
			s.fleet.Close() // resets the ten
			p.exits(130)
			if last := p.err.lastLine(); !strings.HasPrefix(last, "100 targets: 0 ok, 0 unexpected, 10 failed (10 reset), 90 not attempted in ") {
				t.Errorf("the account is %q", last)
			}
			wants(t, p.err, "(?m)^stopped: interrupted$")
			closed(t, s, 10, 90)
		})
	}
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	t.Parallel()
	s, p := hanging(t, "-q")
	p.signal(os.Interrupt)
	p.err.await(t, "waiting for 10 under way")
	begun := time.Now()
	p.signal(os.Interrupt)
	p.exits(130)
	if d := time.Since(begun); d > time.Second {
		t.Errorf("stopping took %v", d)
	}
	wants(t, p.err, "(?m)^muster: stopping at once$",
		`(?m)^100 targets: 0 ok, 0 unexpected, 0 failed, 10 canceled, 90 not attempted in `)
	s.await("closed sockets", func(st sim.Stats) bool { return st.Open == 0 })
	closed(t, s, 10, 90)
}

// A reader that has stopped reading must not keep the run from stopping, nor its record from being closed.
func TestInterruptWhileOutputIsBlocked(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"stdout": false, "stdout and stderr": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "127.31.0.0/16=oversized:64K", "127.32.0.0/16=hang")
			p := s.command("run", "http", "GET", "/", "-w", s.at("127.31.0.[1-200]"), "-w", s.at("127.32.0.[1-10]"), "--jsonl", "-f", "10!", "--timeout", "10m")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p.Stdout = w
			if both {
				p.Stderr = w
			}
			p.begin()
			w.Close()
			if _, err := r.Read(make([]byte, 1)); err != nil { // it has begun to write
				t.Fatal(err)
			}
			s.awaitRequests(210)
			begun := time.Now()
			p.signal(os.Interrupt)
			p.signal(syscall.SIGTERM) // another one: two of a kind may become one
			p.exits(130)
			if d := time.Since(begun); d > 2*time.Second {
				t.Errorf("stopping took %v", d)
			}
			io.Copy(io.Discard, r)
			if j := s.job("last"); !j.Ledger.Closed() || !j.State.Final() || j.Ledger.Targets != 210 {
				t.Errorf("the record says %s, %s", j.State, &j.Ledger)
			}
		})
	}
}

// Outside of a run an interrupt does what it does to every program.
func TestInterruptEndsOtherCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.command("set", "fold")
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p.begin()
	io.WriteString(in, strings.Repeat("n1\n", 1<<16)) // more than a pipe holds: it has begun to read
	p.signal(os.Interrupt)
	if code := p.end(); code != -int(syscall.SIGINT) && code != 2 {
		t.Errorf("exit code %d", code)
	}
}

func TestUserSignalPrintsState(t *testing.T) {
	t.Parallel()
	_, p := hanging(t, "-q")
	p.signal(syscall.SIGUSR1)
	p.err.await(t, `(?m)^0/100 \(0%\)  0 ok  0\.0/s  10 under way  limit 10: fanout$`)
	p.Process.Kill()
	p.end()
}

// Without a terminal, a line every ten seconds says how the run stands.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	_, p := hanging(t, "--display", "none")
	p.err.await(t, `(?m)^0/100 \(0%\)  0 ok  0\.0/s  10 under way  limit 10: fanout$`)
	p.signal(os.Interrupt)
	p.err.await(t, "once more")
	p.signal(os.Interrupt)
	p.exits(130)
	if n := strings.Count(p.err.String(), "0/100 (0%)"); n > 6 {
		t.Errorf("%d lines within a minute at most", n)
	}
}
