package probe

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ending is what most tests compare of a result.
type ending struct {
	Outcome muster.Outcome
	Failure muster.Failure
	Reason  string
	Code    int
	Body    string
	Stderr  string
}

func endingOf(r muster.Result) ending {
	e := ending{Outcome: r.Outcome, Failure: r.Failure, Reason: r.Reason, Code: r.Code, Body: string(r.Body)}
	e.Stderr, _ = fieldOf(&r, "stderr").(string)
	return e
}

func TestOpenSSHCommands(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, "AcceptEnv MUSTER_*")
	stdin := filepath.Join(s.dir, "stdin")
	write(t, stdin, []byte(strings.Repeat("line of input\n", 10_000)))
	tests := []struct {
		name, command string
		change        func(*SSH)
		want          ending
	}{
		{"ok", "echo out", nil, ending{Outcome: muster.OK, Body: "out\n"}},
		{"streams apart", "echo out; echo err >&2", nil, ending{Outcome: muster.OK, Body: "out\n", Stderr: "err\n"}},
		{"exit status", "echo why >&2; exit 3", nil, ending{Outcome: muster.Unexpected, Reason: "exit 3", Code: 3, Stderr: "why\n"}},
		{"signal", "kill -9 $$", nil, ending{Outcome: muster.Failed, Failure: muster.FailExit, Reason: "signal KILL"}},
		{"template", "echo {{.host}} {{.x}}", nil, ending{Outcome: muster.OK, Body: "127.0.0.1 7\n"}},
		{"input", "wc -c", func(s *SSH) { s.Stdin = stdin }, ending{Outcome: muster.OK, Body: "140000\n"}},
		{"input that nobody reads", "exec true", func(s *SSH) { s.Stdin = stdin }, ending{Outcome: muster.OK}},
		{"no input", "cat", nil, ending{Outcome: muster.OK}},
		{"environment", "echo $MUSTER_A", func(s *SSH) { s.Env = []Pair{{"MUSTER_A", "a {{.x}}"}} }, ending{Outcome: muster.OK, Body: "a 7\n"}},
		{"environment that the server refuses", "echo $A | tr a b; echo $MUSTER_B", func(s *SSH) { s.Env = []Pair{{"A", "it's a"}, {"MUSTER_B", "b"}} }, ending{Outcome: muster.OK, Body: "it's b\nb\n"}},
		{"terminal", "test -t 1 && echo tty; echo err >&2", func(s *SSH) { s.PTY = true }, ending{Outcome: muster.OK, Body: "tty\r\nerr\r\n"}},
		{"no terminal", "test -t 1 || echo pipe", nil, ending{Outcome: muster.OK, Body: "pipe\n"}},
		{"truncated", "printf 12345678; exit 2", func(s *SSH) { s.BodyLimit, s.Truncate = 4, true }, ending{Outcome: muster.Unexpected, Reason: "exit 2", Code: 2, Body: "1234"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := SSH{SSHLogin: s.login(), Command: tt.command}
			if tt.change != nil {
				tt.change(&spec)
			}
			p := compileSSHTest(t, spec, Env{Timeout: 20 * time.Second})
			target := s.target
			target.Vars = map[string]string{"x": "7"}
			r := p.Probe(t.Context(), target)
			if diff := cmp.Diff(tt.want, endingOf(r)); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, r.Detail)
			}
			if !r.Sent || !r.Address.IsValid() || r.Timings.TLS == 0 {
				t.Errorf("sent %v, address %v, timings %+v", r.Sent, r.Address, r.Timings)
			}
		})
	}
}

func TestOpenSSHHostKeys(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	none := filepath.Join(s.dir, "none")
	other := newKey(t, filepath.Join(s.dir, "other"), "")
	changed := filepath.Join(s.dir, "changed")
	write(t, changed, []byte(hostkey.Line(hostkey.Name("127.0.0.1", s.target.Port), other.PublicKey())+"\n"))
	accepted := filepath.Join(s.dir, "state", "known_hosts")
	step := func(name string, mode hostkey.Mode, known string, want ending) {
		t.Helper()
		r := s.run(t, "echo in", func(spec *SSH) {
			spec.HostKey, spec.KnownHosts, spec.AcceptedHosts = mode, []string{known}, accepted
		})
		if diff := cmp.Diff(want, endingOf(r)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s\n%s", name, diff, r.Detail)
		}
		if want.Outcome == muster.Failed && r.Sent {
			t.Errorf("%s: the command was sent", name)
		}
	}
	in := ending{Outcome: muster.OK, Body: "in\n"}
	auth := func(reason string) ending {
		return ending{Outcome: muster.Failed, Failure: muster.FailAuth, Reason: reason}
	}
	step("unknown", hostkey.Strict, none, auth(hostkey.ReasonUnknown))
	step("changed", hostkey.TOFU, changed, auth(hostkey.ReasonChanged))
	step("off", hostkey.Off, changed, in)
	step("first use", hostkey.TOFU, none, in)
	step("accepted before", hostkey.Strict, none, in)
	for _, c := range []struct {
		known []string
		want  ending
	}{{nil, in}, {[]string{none}, auth(hostkey.ReasonUnknown)}} {
		spec := SSH{SSHLogin: s.login(), Command: "echo in"}
		spec.HostKey, spec.KnownHosts, spec.AcceptedHosts, spec.Config = hostkey.Strict, c.known, "", "none"
		p := compileSSHTest(t, spec, Env{Timeout: 20 * time.Second, AcceptedHosts: accepted})
		if diff := cmp.Diff(c.want, endingOf(p.Probe(t.Context(), s.target))); diff != "" {
			t.Errorf("accepted before, known hosts %q: (-want +got)\n%s", c.known, diff)
		}
	}
}

func TestOpenSSHLoginRefused(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	stranger := filepath.Join(s.dir, "stranger")
	newKey(t, stranger, "")
	r := s.run(t, "true", func(spec *SSH) { spec.Identity = []string{stranger} })
	if r.Failure != muster.FailAuth || r.Reason != "login refused" || r.Sent || r.Transient {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.Detail, "publickey") {
		t.Errorf("detail %q does not say what was tried", r.Detail)
	}
}
