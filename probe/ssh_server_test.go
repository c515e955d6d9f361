package probe

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

// startDropbear starts the other server that is common, with root's key.
func startDropbear(t testing.TB) *sshd {
	t.Helper()
	bin := lookServer(t, "dropbear")
	dir := t.TempDir()
	port := freePort(t)
	s := &sshd{target: muster.Target{ID: "host", Host: "127.0.0.1", Addr: mustAddr("127.0.0.1"), Port: port}, dir: dir, id: filepath.Join(dir, "id")}
	user := newKey(t, s.id, "")
	// dropbear looks for authorized_keys in the home that its environment does not change: a mount of its own lends it one.
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".ssh", "authorized_keys"), []byte(keyLine(user.PublicKey())))
	host := filepath.Join(dir, "host")
	if out, err := exec.Command("dropbearkey", "-t", "ed25519", "-f", host).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	passwd := filepath.Join(dir, "passwd")
	write(t, passwd, fmt.Appendf(nil, "root:x:0:0:root:%s:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", home))
	s.startIn(t, map[string]string{"/etc/passwd": passwd}, bin, "-F", "-E", "-r", host, "-p", fmt.Sprint(port), "-P", filepath.Join(dir, "pid"))
	return s
}

// startIn starts a server that sees some files as others.
func (s *sshd) startIn(t testing.TB, files map[string]string, bin string, args ...string) {
	t.Helper()
	var script strings.Builder
	for path, file := range files {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "mount --bind %s %s && ", file, path)
	}
	script.WriteString(`exec "$0" "$@"`)
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("no mounts of one's own here: %v: %s", err, out)
	}
	s.pid = startServer(t, s.target.Port, "unshare", append([]string{"-m", "sh", "-c", script.String(), bin}, args...)...)
}

func TestDropbear(t *testing.T) {
	t.Parallel()
	s := startDropbear(t)
	run := func(command string, change func(*SSH)) muster.Result {
		return s.run(t, command, func(spec *SSH) {
			spec.HostKey = hostkey.Off
			if change != nil {
				change(spec)
			}
		})
	}
	if r := run("echo out; echo err >&2; exit 3", nil); r.Reason != "exit 3" || string(r.Body) != "out\n" || fieldOf(&r, "stderr") != "err\n" {
		t.Fatalf("%+v", r)
	}
	if r := run("kill -9 $$", nil); r.Failure != muster.FailExit || r.Reason != "signal KILL" {
		t.Errorf("signal: %v %s", r.Failure, r.Reason)
	}
	if r := run("echo $A", func(spec *SSH) { spec.Env = []Pair{{"A", "a b"}} }); string(r.Body) != "a b\n" {
		t.Errorf("environment: %q %s %s", r.Body, r.Reason, r.Detail)
	}
	script := filepath.Join(s.dir, "script")
	write(t, script, []byte("echo script $1"))
	if r := run("", func(spec *SSH) { spec.Script, spec.Args = script, "x" }); string(r.Body) != "script x\n" {
		t.Errorf("script: %q %s %s", r.Body, r.Reason, r.Detail)
	}
	stranger := filepath.Join(s.dir, "stranger")
	newKey(t, stranger, "")
	if r := run("true", func(spec *SSH) { spec.Identity = []string{stranger} }); r.Failure != muster.FailAuth {
		t.Errorf("stranger: %+v", r)
	}
	t.Run("cancel", func(t *testing.T) {
		s.known = filepath.Join(s.dir, "known")
		r := run("true", func(spec *SSH) { spec.HostKey, spec.AcceptedHosts = hostkey.TOFU, s.known })
		if r.Outcome != muster.OK {
			t.Fatalf("%+v", r)
		}
		s.cancel(t, "children", "sleep 1000 | sleep 1000; :", true, "")
	})
}

// TestOpenSSHMaxStartups has the server drop logins: they are resets that another attempt may mend.
func TestOpenSSHMaxStartups(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, "MaxStartups 1", "LoginGraceTime 60")
	p := compileSSHTest(t, SSH{SSHLogin: s.login(), Command: "true"}, Env{Timeout: 30 * time.Second})
	waitUntil(t, "a login that stays under way", func() bool { // the server may still be busy with whoever looked whether it listens
		held := dialUntil(t, "tcp", s.target.Addr.String()+fmt.Sprintf(":%d", s.target.Port))
		t.Cleanup(func() { held.Close() })
		greeting := make([]byte, len("SSH-"))
		_, err := io.ReadFull(held, greeting)
		return err == nil && string(greeting) == "SSH-"
	})
	var r muster.Result
	waitUntil(t, "the server to drop a login", func() bool {
		r = p.Probe(t.Context(), s.target)
		return r.Outcome != muster.OK
	})
	if r.Failure != muster.FailReset || !r.Transient || r.Sent {
		t.Errorf("%+v", r)
	}
}

// TestOpenSSHManyAtOnce logs in a hundred times at once, and leaves no process behind.
func TestOpenSSHManyAtOnce(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	p := compileSSHTest(t, SSH{SSHLogin: s.login(), Command: "echo {{.n}}"}, Env{Timeout: time.Minute})
	var work sync.WaitGroup
	for i := range 50 {
		work.Go(func() {
			target := s.target
			target.Vars = map[string]string{"n": fmt.Sprint(i)}
			if r := p.Probe(t.Context(), target); string(r.Body) != fmt.Sprintf("%d\n", i) {
				t.Errorf("%d: %q %s %s", i, r.Body, r.Reason, r.Detail)
			}
		})
	}
	work.Wait()
}
