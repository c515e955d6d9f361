package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
	"github.com/musterhq/muster/sink"
)

// slow bounds every wait of these tests: long enough for a busy machine.
const slow = 60 * time.Second

// site is a folder with a store of its own and a fleet that only one test speaks to.
type site struct {
	t     testing.TB
	dir   string
	state string
	env   []string
	fleet *sim.Server
}

func newSite(t testing.TB, rules ...string) *site {
	t.Helper()
	f := sim.Fleet{Seed: 1}
	for _, text := range rules {
		r, err := sim.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		f.Rules = append(f.Rules, r)
	}
	return newSiteOf(t, f)
}

func newSiteOf(t testing.TB, f sim.Fleet) *site {
	t.Helper()
	server, err := f.Start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	s := &site{t: t, dir: dir, state: filepath.Join(dir, "state"), fleet: server}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "HOME="+dir, "TMPDIR="+tmp, "MUSTER_STATE_DIR="+s.state, "MUSTER_CONFIG_DIR="+filepath.Join(dir, "config"))
	return s
}

// at returns a set of the fleet's addresses: at("127.30.0.[1-9]").
func (s *site) at(addresses string) string { return addresses + ":" + s.fleet.Port() }

// proc is the program as a process.
type proc struct {
	*exec.Cmd
	t        testing.TB
	out, err *text
	done     chan struct{} // closed at its end
}

// command returns the program with arguments, not started.
func (s *site) command(args ...string) *proc {
	p := &proc{Cmd: exec.Command("muster", args...), t: s.t, out: newText(), err: newText(), done: make(chan struct{})}
	p.Dir, p.Env, p.Stdout, p.Stderr = s.dir, s.env, p.out, p.err
	return p
}

func (s *site) start(args ...string) *proc {
	s.t.Helper()
	p := s.command(args...)
	p.begin()
	return p
}

// run runs the program to its end and checks its exit code.
func (s *site) run(code int, args ...string) *proc {
	s.t.Helper()
	p := s.start(args...)
	p.exits(code)
	return p
}

func (p *proc) begin() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.Wait() // ProcessState has the news
	}()
	p.t.Cleanup(func() {
		p.Process.Kill() // where the test failed before the end
		<-p.done
	})
}

// end waits for the process and returns its exit code, or minus the signal that killed it.
func (p *proc) end() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * slow):
		p.t.Fatalf("%s: it does not end\n%s", p, p.err.tail())
	}
	if status := p.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return -int(status.Signal())
	}
	return p.ProcessState.ExitCode()
}

func (p *proc) exits(code int) {
	p.t.Helper()
	if got := p.end(); got != code {
		p.t.Fatalf("%s: exit code %d, want %d\n%s", p, got, code, p.err.tail())
	}
}

func (p *proc) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// wants fails unless the text has a match of each pattern.
func wants(t testing.TB, what *text, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(what.String()) {
			t.Errorf("no %q in:\n%s", p, what.tail())
		}
	}
}

// text collects what a process prints. It is safe for concurrent use.
type text struct {
	mu   sync.Mutex
	b    bytes.Buffer
	grew chan struct{} // closed and replaced by every write
}

func newText() *text { return &text{grew: make(chan struct{})} }

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.grew)
	x.grew = make(chan struct{})
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// tail is the end of the text, for messages.
func (x *text) tail() string {
	s := x.String()
	return s[max(0, len(s)-2000):]
}

// await waits until the text has a match of the pattern and returns the submatches.
func (x *text) await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(slow)
	for {
		x.mu.Lock()
		m, grew := re.FindStringSubmatch(x.b.String()), x.grew
		x.mu.Unlock()
		if m != nil {
			return m
		}
		select {
		case <-grew:
		case <-timeout:
			t.Fatalf("%q did not come:\n%s", pattern, x.tail())
		}
	}
}

// lastLine is the last line of a text.
func (x *text) lastLine() string {
	lines := strings.Split(strings.TrimRight(x.String(), "\n"), "\n")
	return lines[len(lines)-1]
}

// await waits until the fleet's counters satisfy cond.
func (s *site) await(what string, cond func(sim.Stats) bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(slow)
	for !cond(s.fleet.Stats()) {
		select {
		case <-tick.C:
		case <-timeout:
			s.t.Fatalf("waited too long for %s: %+v", what, s.fleet.Stats())
		}
	}
}

// awaitRequests waits until the fleet has received n requests.
func (s *site) awaitRequests(n int) {
	s.t.Helper()
	s.await("requests", func(st sim.Stats) bool { return st.Requests >= uint64(n) })
}

// job returns the record of a stored run.
func (s *site) job(ref string) muster.Job {
	s.t.Helper()
	var j muster.Job
	p := s.run(0, "job", "show", ref, "--json")
	if err := json.Unmarshal([]byte(p.out.String()), &j); err != nil {
		s.t.Fatalf("%v in %s", err, p.out)
	}
	return j
}

// results returns the stored results of a run by target number.
func (s *site) results(ref string) map[int]muster.Result {
	s.t.Helper()
	return decode(s.t, s.run(0, "job", "results", ref, "--jsonl").out.String())
}

// decode reads lines of results, each target at most once; other lines must be of a known kind.
func decode(t testing.TB, lines string) map[int]muster.Result {
	t.Helper()
	rs := map[int]muster.Result{}
	for line := range strings.Lines(lines) {
		var kind struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &kind); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		if kind.Kind != "result" {
			if kind.Kind != "summary" && kind.Kind != "group" && kind.Kind != "reserve" {
				t.Errorf("a line of another kind: %s", line)
			}
			continue
		}
		r, err := sink.DecodeResult([]byte(line))
		if err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		if _, ok := rs[r.Index]; ok {
			t.Errorf("target %d has two results", r.Index)
		}
		rs[r.Index] = r
	}
	return rs
}

// count counts results by outcome.
func count(rs map[int]muster.Result) map[muster.Outcome]int {
	n := map[muster.Outcome]int{}
	for _, r := range rs {
		n[r.Outcome]++
	}
	return n
}

// hits returns how often each address of the fleet got a request.
func (s *site) hits() map[string]int {
	n := map[string]int{}
	for h := range s.fleet.EachHits {
		if h.Requests > 0 {
			n[h.Addr.String()] = int(h.Requests)
		}
	}
	return n
}
