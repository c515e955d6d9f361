package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
)

// sesame is the password of the test's user as /etc/shadow has it.
const sesame = "$6$muster$BfuuSywZOOyZP4z3IyxP5Bl7ZRpggJmCx96MvZcSNCY5KT8QgCA0SIqxhRCDzMSIZLhBIjtwzfckqUEs0UjY80"

// startWithUser starts OpenSSH where a user "tester" exists, who may do anything with sudo and his password, and a
// user "guest" who may not.
func startWithUser(t testing.TB) *sshd {
	t.Helper()
	lookServer(t, "sudo")
	bin := lookServer(t, "sshd")
	s := newSSHD(t)
	files := map[string]string{}
	for path, text := range map[string]string{
		"/etc/passwd":  "root:x:0:0:root:/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/sh\ntester:x:54321:54321::/:/bin/sh\nguest:x:54322:54322::/:/bin/sh\n",
		"/etc/shadow":  fmt.Sprintf("root:*:19000:0:99999:7:::\ntester:%s:19000:0:99999:7:::\nguest:%[1]s:19000:0:99999:7:::\n", sesame),
		"/etc/group":   "root:x:0:\nnogroup:x:65534:\ntester:x:54321:\nguest:x:54322:\n",
		"/etc/sudoers": "root ALL=(ALL:ALL) ALL\ntester ALL=(ALL:ALL) ALL\n",
	} {
		files[path] = filepath.Join(s.dir, filepath.Base(path))
		write(t, files[path], []byte(text))
	}
	s.configure(t, "PasswordAuthentication yes")
	s.startIn(t, files, bin, s.args()...)
	return s
}

func TestOpenSSHPasswordAndSudo(t *testing.T) {
	t.Parallel()
	s := startWithUser(t)
	stdin := filepath.Join(s.dir, "stdin")
	write(t, stdin, []byte("input"))
	script := filepath.Join(s.dir, "script")
	write(t, script, []byte("id -un; cat"))
	tests := []struct {
		name, user, command string
		sudo                Sudo
		change              func(*SSH)
		want                ending
	}{
		{"password login", "tester", "id -un", Sudo{}, nil, ending{Outcome: muster.OK, Body: "tester\n"}},
		{"root", "tester", "id -un; echo err >&2", Sudo{Password: "test:sesame"}, nil, ending{Outcome: muster.OK, Body: "root\n", Stderr: "err\n"}},
		{"another user", "tester", "id -un; exit 7", Sudo{User: "guest", Password: "test:sesame"}, nil, ending{Outcome: muster.Unexpected, Reason: "exit 7", Code: 7, Body: "guest\n"}},
		{"input", "tester", "cat", Sudo{Password: "test:sesame"}, func(s *SSH) { s.Stdin = stdin }, ending{Outcome: muster.OK, Body: "input"}},
		{"environment", "tester", "echo $A", Sudo{Password: "test:sesame"}, func(s *SSH) { s.Env = []Pair{{"A", "it's"}} }, ending{Outcome: muster.OK, Body: "it's\n"}},
		{"terminal", "tester", "test -t 1 && id -un", Sudo{Password: "test:sesame"}, func(s *SSH) { s.PTY = true }, ending{Outcome: muster.OK, Body: "root\r\n"}},
		{"script", "tester", "", Sudo{Password: "test:sesame"}, func(s *SSH) { s.Script, s.Stdin = script, stdin }, ending{Outcome: muster.OK, Body: "root\ninput"}},
		{"wrong password", "tester", "id -un", Sudo{Password: "test:open"}, nil, ending{Outcome: muster.Failed, Failure: muster.FailAuth, Reason: "sudo password refused"}},
		{"no password", "tester", "id -un", Sudo{User: "root"}, nil, ending{Outcome: muster.Failed, Failure: muster.FailAuth, Reason: "sudo asks for a password"}},
		{"not a sudoer", "guest", "id -un", Sudo{Password: "test:sesame"}, nil, ending{Outcome: muster.Failed, Failure: muster.FailAuth, Reason: "sudo refused"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := s.run(t, tt.command, func(spec *SSH) {
				spec.User, spec.Identity, spec.Password, spec.Sudo = tt.user, nil, "test:sesame", tt.sudo
				if tt.change != nil {
					tt.change(spec)
				}
			})
			got := endingOf(r)
			if r.Failure == muster.FailAuth {
				got.Stderr = ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, r.Detail)
			}
			if all := fmt.Sprint(r); strings.Contains(all, "sesame") {
				t.Errorf("the password stands in the result: %s", all)
			}
		})
	}
}

// FuzzSudoGate holds that whatever a server says where sudo should speak is let through or answered, and that the password
// is given at most once.
func FuzzSudoGate(f *testing.F) {
	f.Add([]byte("[sudo N] \n[muster N] 12\nout"), 3)
	f.Add([]byte("sorry\n[sudo N] [sudo N] "), 100)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		run := &sudoRun{user: "u", password: muster.NewSecret("pw"), nonce: "N"}
		var answer strings.Builder
		g := &sudoGate{run: run, src: &inPieces{text, max(1, size%700)}, answer: &answer, hangUp: func() error { return nil }, opened: make(chan struct{})}
		out := readHead(g, 1<<20)
		if len(out) > len(text) {
			t.Errorf("%d bytes came of %d", len(out), len(text))
		}
		if n := strings.Count(answer.String(), "pw"); n > 1 {
			t.Errorf("the password was given %d times", n)
		}
		g.verdict(&sshEnd{exited: true, status: 1})
	})
}

// inPieces reads a text in pieces.
type inPieces struct {
	text []byte
	size int
}

func (s *inPieces) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, os.ErrClosed
	}
	n := copy(p, s.text[:min(s.size, len(s.text))])
	s.text = s.text[n:]
	return n, nil
}
