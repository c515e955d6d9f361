package probe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
)

func TestOpenSSHScripts(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	s := startSSHD(t, "SetEnv TMPDIR="+tmp, "AcceptEnv MUSTER_*", "MaxSessions 1")
	stdin := filepath.Join(s.dir, "stdin")
	write(t, stdin, []byte("input"))
	tests := []struct {
		name, script string
		change       func(*SSH)
		want         ending
	}{
		{"plain", "echo out $1; echo err >&2; exit 4", func(s *SSH) { s.Args = "'{{.host}} x'" }, ending{Outcome: muster.Unexpected, Reason: "exit 4", Code: 4, Body: "out 127.0.0.1 x\n", Stderr: "err\n"}},
		{"interpreter", "#!/usr/bin/env bash\n[[ a == a ]] && echo $MUSTER_A", func(s *SSH) { s.Env = []Pair{{"MUSTER_A", "a"}} }, ending{Outcome: muster.OK, Body: "a\n"}},
		{"interpreter with an option", "#!/bin/sh -e\nfalse\necho no", nil, ending{Outcome: muster.Unexpected, Reason: "exit 1", Code: 1}},
		{"braces are no template", "echo '{{.x}}'", nil, ending{Outcome: muster.OK, Body: "{{.x}}\n"}},
		{"input", "cat", func(s *SSH) { s.Stdin = stdin }, ending{Outcome: muster.OK, Body: "input"}},
		{"private", `stat -c %a "$0"`, nil, ending{Outcome: muster.OK, Body: "700\n"}},
		{"large", "#!/bin/sh\nexit 0\n" + strings.Repeat("# padding\n", 400_000), nil, ending{Outcome: muster.OK}},
		{"as another user", "id -un; cat", func(s *SSH) { s.Sudo.User, s.Stdin, s.Env = "nobody", stdin, []Pair{{"TMPDIR", tmp}} }, ending{Outcome: muster.OK, Body: "nobody\ninput"}},
	}
	for _, dir := range []string{tmp, filepath.Dir(tmp)} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range tests {
		if tt.name == "as another user" {
			lookServer(t, "sudo")
		}
		path := filepath.Join(s.dir, "script")
		write(t, path, []byte(tt.script))
		r := s.run(t, "", func(spec *SSH) {
			spec.Script = path
			if tt.change != nil {
				tt.change(spec)
			}
		})
		if diff := cmp.Diff(tt.want, endingOf(r)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s\n%s", tt.name, diff, r.Detail)
		}
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOpenSSHScriptNotStored ends where a script finds no room.
func TestOpenSSHScriptNotStored(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, "SetEnv TMPDIR=/nonexistent")
	path := filepath.Join(s.dir, "script")
	write(t, path, []byte("true"))
	r := s.run(t, "", func(spec *SSH) { spec.Script = path })
	if r.Outcome != muster.Unexpected || r.Reason != "script not stored" || !strings.Contains(r.Detail, "/nonexistent") {
		t.Errorf("%+v", r)
	}
}

// TestOpenSSHLargeOutput lets a command print 1 GB: within the limit's memory it is ended, or cut and let go on.
func TestOpenSSHLargeOutput(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	const gigabyte = "head -c 1000000000 /dev/zero"
	r := s.run(t, "echo $$ >"+s.dir+"/pid; exec "+gigabyte, nil)
	if r.Failure != muster.FailTooLarge || len(r.Body) != DefaultBodyLimit || cap(r.Body) > 4*DefaultBodyLimit || r.Transient {
		t.Errorf("%v %s, %d bytes of body", r.Failure, r.Reason, len(r.Body))
	}
	s.waitGone(t, "pid")
	if testing.Short() {
		return
	}
	r = s.run(t, "head -c 50000000 /dev/zero; exit 5", func(spec *SSH) { spec.Truncate, spec.BodyLimit = true, 1000 })
	if r.Reason != "exit 5" || len(r.Body) != 1000 || !r.Truncated {
		t.Errorf("truncated: %s, %d bytes of body", r.Reason, len(r.Body))
	}
	r = s.run(t, "head -c 1000000 /dev/zero >&2", nil)
	if text, _ := fieldOf(&r, "stderr").(string); r.Outcome != muster.OK || len(text) < stderrLimit || len(text) > stderrLimit+100 {
		t.Errorf("standard error: %s, %d bytes", r.Reason, len(text))
	}
}

// waitGone waits until the process whose number stands in a file has ended.
func (s *sshd) waitGone(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(text))
	waitUntil(t, "process "+pid+" to end", func() bool {
		status, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(status), ") Z ")
	})
}

// waitUntil polls what no event tells.
func waitUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestOpenSSHCancel cancels and times out commands, and finds their processes gone.
func TestOpenSSHCancel(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	commands := map[string]string{
		"polite":           "sleep 1000",
		"deaf":             "trap '' TERM; while :; do sleep 1; done",
		"with children":    "sleep 1000 | sleep 1000; :",
		"with a last word": "trap 'echo bye >%[1]s.bye; exit' TERM; while :; do sleep 0.05; done",
	}
	for _, c := range []struct {
		name   string
		cancel bool
		user   string
	}{
		{"polite", true, ""},
		{"deaf", true, ""},
		{"with children", true, ""},
		{"with a last word", true, ""},
		{"polite", false, ""},
		{"polite", true, "nobody"},
		{"deaf", true, "nobody"},
	} {
		file := strings.ReplaceAll(fmt.Sprintf("%s %v %s", c.name, c.cancel, c.user), " ", "-")
		t.Run(file, func(t *testing.T) {
			if c.user != "" {
				lookServer(t, "sudo")
			}
			s.cancel(t, file, commands[c.name], c.cancel, c.user)
		})
	}
}

func (s *sshd) cancel(t *testing.T, file, command string, cancel bool, user string) {
	pidFile := filepath.Join(s.dir, file)
	write(t, pidFile, nil)
	os.Chmod(filepath.Dir(filepath.Dir(s.dir)), 0o755)
	os.Chmod(filepath.Dir(s.dir), 0o755)
	os.Chmod(pidFile, 0o666)
	if strings.Contains(command, "%") {
		write(t, pidFile+".bye", nil)
		os.Chmod(pidFile+".bye", 0o666)
		command = fmt.Sprintf(command, pidFile)
	}
	env := Env{Timeout: 20 * time.Second}
	if !cancel {
		env.Timeout = 5 * time.Second
	}
	spec := SSH{SSHLogin: s.login(), Command: "echo $$ >" + pidFile + "; " + command, Sudo: Sudo{User: user}}
	p := compileSSHTest(t, spec, env)
	p.login.killLimit = time.Minute // a busy machine is slow to start what kills
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan muster.Result, 1)
	go func() { done <- p.Probe(ctx, s.target) }()
	waitUntil(t, "the command to begin", func() bool {
		text, _ := os.ReadFile(pidFile)
		return strings.HasSuffix(string(text), "\n")
	})
	began := time.Now()
	if cancel {
		stop()
	}
	r := <-done
	took := time.Since(began)
	switch {
	case cancel && r.Outcome != muster.Canceled, !cancel && r.Failure != muster.FailTimeout:
		t.Errorf("%v %v %s", r.Outcome, r.Failure, r.Reason)
	case cancel && took > 10*time.Second: // alone it takes less than one
		t.Errorf("the cancel took %v", took)
	}
	s.waitGone(t, file)
	if text, err := os.ReadFile(pidFile + ".bye"); err == nil && string(text) != "bye\n" {
		t.Errorf("the command could not clean up: %q", text)
	}
}
