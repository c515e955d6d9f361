package probe

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

func execTarget() muster.Target {
	return muster.Target{
		Index: 4, ID: "web1:80", Host: "web1", Port: 80, Labels: map[string]string{"rack": "r1"}, Vars: map[string]string{"a-b": "x y"},
	}
}

func execProbe(t *testing.T, e Exec, env Env) muster.Prober {
	t.Helper()
	p, err := e.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shellScript(text string) Exec { return Exec{Command: []string{"sh", "-c", text}} }

func TestExec(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte("{{raw}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec   Exec
		target muster.Target
		want   string
	}{
		"arguments are words":   {Exec{Command: []string{"printf", "<%s>", "{{.host}}", "{{.vars.x}}", "$HOME"}}, muster.Target{Host: "h", Vars: map[string]string{"x": "a 'b'; id"}}, "<h><a 'b'; id><$HOME>"},
		"shell":                 {Exec{Command: []string{"echo", "{{.host}}", "|", "tr a-z A-Z"}, Shell: true}, execTarget(), "WEB1\n"},
		"environment":           {shellScript(`echo "$MUSTER_TARGET|$MUSTER_HOST|$MUSTER_PORT|$MUSTER_ADDRESS|$MUSTER_LABEL_rack|$MUSTER_VAR_a_b"`), execTarget(), "web1:80|web1|80|web1:80|r1|x y\n"},
		"environment, no port":  {shellScript(`echo "<$MUSTER_PORT>$MUSTER_ADDRESS"`), muster.Target{Host: "::1"}, "<>::1\n"},
		"environment, the port": {Exec{Command: shellScript(`echo "$MUSTER_PORT $MUSTER_ADDRESS"`).Command, Port: "{{.vars.p}}"}, muster.Target{Host: "::1", Vars: map[string]string{"p": "22"}}, "22 [::1]:22\n"},
		"own environment":       {Exec{Command: []string{"sh", "-c", `echo "$A$MUSTER_HOST"`}, Env: []Pair{{"A", "{{.host}}!"}, {"MUSTER_HOST", "mine"}}}, execTarget(), "web1!mine\n"},
		"directory":             {Exec{Command: []string{"sh", "-c", "pwd -P"}, Dir: "/{{.vars.d}}"}, muster.Target{Host: "h", Vars: map[string]string{"d": "usr"}}, "/usr\n"},
		"no standard input":     {Exec{Command: []string{"cat"}}, execTarget(), ""},
		"standard input":        {Exec{Command: []string{"cat"}, Stdin: "hello {{.host}}"}, execTarget(), "hello web1"},
		"standard input, file":  {Exec{Command: []string{"cat"}, StdinFile: filepath.Join(dir, "in")}, execTarget(), "{{raw}}"},
		"unread standard input": {Exec{Command: []string{"echo", "ok"}, Stdin: strings.Repeat("x", 1<<20)}, execTarget(), "ok\n"},
		"no terminal":           {shellScript(`(: </dev/tty) 2>/dev/null || echo none`), execTarget(), "none\n"},
		"program by template":   {Exec{Command: []string{"{{.vars.cmd}}", "1"}}, muster.Target{Host: "h", Vars: map[string]string{"cmd": "echo"}}, "1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := execProbe(t, c.spec, Env{}).Probe(t.Context(), c.target)
			if r.Outcome != muster.OK || r.Status != "exit 0" || string(r.Body) != c.want || !r.Sent || r.Timings.Total <= 0 {
				t.Errorf("%v %s %s: %s %q, want %q", r.Outcome, r.Status, r.Reason, r.Detail, r.Body, c.want)
			}
		})
	}
}

func TestExecOutcomes(t *testing.T) {
	t.Parallel()
	cut := shellScript("echo abcdef; echo xyz >&2; exit 3")
	cut.BodyLimit, cut.Truncate = 4, true
	endless := shellScript("yes")
	endless.BodyLimit = 1000
	plugin := shellScript("echo 'DISK WARNING - 8% | /=92%;90;95'; exit 1")
	plugin.Nagios = true
	odd := shellScript("exit 42")
	odd.Nagios = true
	missing := shellScript("echo {{.vars.none}}")
	for name, c := range map[string]struct {
		spec           Exec
		outcome        muster.Outcome
		failure        muster.Failure
		reason, detail string
		code           int
		status, body   string
	}{
		"status":          {shellScript("echo out; echo first >&2; echo last >&2; exit 3"), muster.Unexpected, 0, "exit 3", "last", 3, "exit 3", "out\n"},
		"signal":          {shellScript("echo out; kill -SEGV $$"), muster.Failed, muster.FailExit, "signal SIGSEGV", "", 0, "", "out\n"},
		"timeout":         {shellScript("echo out; exec sleep 60"), muster.Failed, muster.FailTimeout, "timeout", "the command ran longer than 1s", 0, "", "out\n"},
		"too much output": {endless, muster.Failed, muster.FailTooLarge, "output too large", errOutput.detail, 0, "", strings.Repeat("y\n", 500)},
		"cut output":      {cut, muster.Unexpected, 0, "exit 3", "xyz", 3, "exit 3", "abcd"},
		"plugin":          {plugin, muster.Unexpected, 0, "WARNING", "", 1, "WARNING", "DISK WARNING - 8% | /=92%;90;95\n"},
		"odd plugin":      {odd, muster.Unexpected, 0, "exit 42", "", 42, "exit 42", ""},
		"no variable":     {missing, muster.Invalid, 0, "missing variable vars.none", "", 0, "", ""},
		"no such program": {Exec{Command: []string{"{{.host}}-no-such"}}, muster.Invalid, 0, "no such command", `command "web1-no-such": executable file not found in $PATH`, 0, "", ""},
		"no such folder":  {Exec{Command: []string{"true"}, Dir: "/{{.host}}-none"}, muster.Failed, muster.FailLocal, "cannot start", "", 0, "", ""},
		"NUL":             {Exec{Command: []string{"echo", "{{.vars.nul}}"}}, muster.Invalid, 0, "invalid argument", "", 0, "", ""},
		"long arguments":  {Exec{Command: []string{"echo", "{{.vars.long}}"}}, muster.Invalid, 0, "arguments too long", "", 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := execTarget()
			switch name {
			case "NUL":
				target.Vars = map[string]string{"nul": "\x00"}
			case "long arguments":
				target.Vars = map[string]string{"long": strings.Repeat("x", 1<<20)}
			}
			env := Env{Timeout: 30 * time.Second}
			if name == "timeout" {
				env.Timeout = time.Second
			}
			r := execProbe(t, c.spec, env).Probe(t.Context(), target)
			if r.Outcome != c.outcome || r.Failure != c.failure || r.Reason != c.reason || c.detail != "" && r.Detail != c.detail {
				t.Errorf("%v %v (%s: %s)", r.Outcome, r.Failure, r.Reason, r.Detail)
			}
			if r.Code != c.code || r.Status != c.status || string(r.Body) != c.body || r.Truncated != (c.spec.BodyLimit > 0) {
				t.Errorf("code %d status %q body %q cut %v", r.Code, r.Status, r.Body, r.Truncated)
			}
		})
	}
}

func TestExecDenied(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("169.254.169.254")
	r := execProbe(t, shellScript("echo ran"), Env{}).Probe(t.Context(), muster.Target{Host: addr.String(), Addr: addr})
	if r.Outcome != muster.Denied || r.Sent || len(r.Body) > 0 {
		t.Errorf("%v sent %v body %q", r.Outcome, r.Sent, r.Body)
	}
}

func TestExecMistakes(t *testing.T) {
	t.Parallel()
	secret := func(string) (muster.Secret, error) { return muster.NewSecret("s"), nil }
	for want, e := range map[string]Exec{
		"want a program":                {},
		"no-such-program: exec":         {Command: []string{"no-such-program"}},
		"hand a secret over":            {Command: []string{"echo", `{{secret "env:X"}}`}},
		"word 2":                        {Command: []string{"echo", "{{.x"}},
		"stdin and stdin_file":          {Command: []string{"cat"}, Stdin: "a", StdinFile: "b"},
		"no such file":                  {Command: []string{"cat"}, StdinFile: "/no/such/file"},
		"want a directory":              {Command: []string{"cat"}, Dir: "/etc/passwd"},
		`port "70000": want 1 to 65535`: {Command: []string{"cat"}, Port: "70000"},
		`env "a=b": want NAME=VALUE`:    {Command: []string{"cat"}, Env: []Pair{{"a=b", ""}}},
	} {
		if _, err := e.Prober(Env{Secret: secret}); err == nil || !strings.Contains(err.Error(), want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestExecPreviewRedacts(t *testing.T) {
	t.Parallel()
	secret := func(string) (muster.Secret, error) { return muster.NewSecret("topsecret"), nil }
	e := Exec{
		Command: []string{"echo", "it's", "{{.host}}"}, Env: []Pair{{"T", `{{secret "env:X"}}`}}, Dir: "/usr", Stdin: `pw {{secret "env:X"}}`,
	}
	p := execProbe(t, e, Env{Secret: secret}).(*execProber)
	target := execTarget()
	text, err := p.Preview(&target)
	want := "MUSTER_TARGET=web1:80\nMUSTER_HOST=web1\nMUSTER_PORT=80\nMUSTER_ADDRESS=web1:80\nMUSTER_LABEL_rack=r1\nMUSTER_VAR_a_b='x y'\n" +
		"T='[redacted]'\ncd /usr\necho 'it'\\''s' web1\n# standard input\npw [redacted]\n"
	if err != nil || text != want {
		t.Errorf("%v:\n%s\nwant:\n%s", err, text, want)
	}
}

// waitGone waits until a process is gone, or is a zombie that its adopted parent has yet to reap.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d was left behind", pid)
}

// orphans are commands that leave a process which prints its number behind, in ways that outlive a careless kill.
var orphans = map[string]string{
	"a child that holds the pipe":       `sleep 60 & echo $!; exit 0`,
	"a grandchild":                      `sh -c 'sleep 60 & echo $!; wait'`,
	"one that ignores to be terminated": `trap "" TERM; sh -c 'echo $$; while :; do sleep 0.05; done' & wait`,
	"one that has closed its output":    `sh -c 'echo $$; exec >/dev/null 2>&1; trap "" TERM; while :; do sleep 0.05; done' & wait`,
}

func TestExecTimeoutLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, text := range orphans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := execProbe(t, shellScript(text), Env{Timeout: 1500 * time.Millisecond}).Probe(t.Context(), execTarget())
			if r.Failure != muster.FailTimeout || r.Timings.Total > 10*time.Second {
				t.Errorf("%v %v after %v", r.Outcome, r.Failure, r.Timings.Total)
			}
			waitGone(t, pidIn(t, r.Body))
		})
	}
}

func pidIn(t *testing.T, body []byte) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestExecCancel cancels as soon as the command has said that it runs.
func TestExecCancel(t *testing.T) {
	t.Parallel()
	for name, text := range orphans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ready := filepath.Join(t.TempDir(), "ready")
			if err := syscall.Mkfifo(ready, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan muster.Result)
			e := shellScript(strings.Replace(text, "echo $", "echo x >"+ready+"; echo $", 1))
			p := execProbe(t, e, Env{})
			go func() { done <- p.Probe(ctx, execTarget()) }()
			if _, err := os.ReadFile(ready); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			cancel()
			r := <-done
			if took := time.Since(began); r.Outcome != muster.Canceled || took > 5*time.Second {
				t.Errorf("%v %v after %v", r.Outcome, r.Failure, took)
			}
			if len(r.Body) > 0 {
				waitGone(t, pidIn(t, r.Body))
			}
		})
	}
}

// TestExecStrayProcess has a process leave the group and keep the pipe: the attempt ends all the same.
func TestExecStrayProcess(t *testing.T) {
	t.Parallel()
	e := shellScript(`setsid sh -c 'echo $$; exec sleep 60' & sleep 60`)
	r := execProbe(t, e, Env{Timeout: 1500 * time.Millisecond}).Probe(t.Context(), execTarget())
	if r.Failure != muster.FailTimeout || r.Timings.Total > 10*time.Second {
		t.Errorf("%v %v after %v", r.Outcome, r.Failure, r.Timings.Total)
	}
	if err := syscall.Kill(pidIn(t, r.Body), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// TestExecBackground leaves a process alone that the command has started to stay and that does not hold its output.
func TestExecBackground(t *testing.T) {
	t.Parallel()
	r := execProbe(t, shellScript(`sleep 60 >/dev/null 2>&1 & echo $!`), Env{}).Probe(t.Context(), execTarget())
	if r.Outcome != muster.OK {
		t.Errorf("%v %s", r.Outcome, r.Detail)
	}
	if err := syscall.Kill(pidIn(t, r.Body), syscall.SIGKILL); err != nil {
		t.Errorf("the background process: %v", err)
	}
}

// TestExecPlugins runs the monitoring plugins of Debian.
func TestExecPlugins(t *testing.T) {
	t.Parallel()
	const plugins = "/usr/lib/nagios/plugins/"
	if _, err := os.Stat(plugins + "check_dummy"); err != nil {
		t.Skip("monitoring-plugins-basic is not installed")
	}
	for name, c := range map[string]struct {
		command []string
		status  string
		output  string // its beginning
		fields  []string
	}{
		"dummy": {[]string{"check_dummy", "2", "gone | x=1;@2:3"}, "CRITICAL", "CRITICAL: gone", []string{"perf.x", "perf.x.warn"}},
		"load":  {[]string{"check_load", "-w", "999,999,999", "-c", "999,999,999"}, "OK", "LOAD OK - ", []string{"perf.load1", "perf.load5.warn", "perf.load15.min"}},
		"disk":  {[]string{"check_disk", "-w", "1%", "-c", "0%", "-p", "{{.vars.path}}"}, "OK", "DISK OK - ", []string{"perf./dev", "perf./dev.uom", "perf./dev.max"}},
		"tcp":   {[]string{"check_tcp", "-H", "{{.host}}", "-p", "{{.port}}"}, "CRITICAL", "connect to address 127.0.0.1 and port 1", nil},
		"usage": {[]string{"check_load", "--nonsense"}, "UNKNOWN", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.command[0] = plugins + c.command[0]
			target := muster.Target{Host: "127.0.0.1", Port: 1, Vars: map[string]string{"path": "/dev"}}
			r := execProbe(t, Exec{Command: c.command, Nagios: true}, Env{}).Probe(t.Context(), target)
			output, _ := r.Field("output")
			if r.Status != c.status || !strings.HasPrefix(output.(string), c.output) {
				t.Fatalf("%v %s: %s", r.Outcome, r.Status, r.Body)
			}
			for _, name := range c.fields {
				if v, ok := r.Field(name); !ok || v == nil {
					t.Errorf("no %s in %v", name, r.Fields)
				}
			}
		})
	}
}
