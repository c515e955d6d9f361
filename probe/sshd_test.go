package probe

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

// sshd is a real OpenSSH server of one test.
type sshd struct {
	target muster.Target
	dir    string
	id     string // path of a private key that may log in as root
	known  string // known_hosts file that holds its key
	host   ssh.PublicKey
	pid    int
}

// newKey writes a private key and its public half, and returns the signer.
func newKey(t testing.TB, path, passphrase string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, pem.EncodeToMemory(block))
	write(t, path+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()))
	return signer
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lookServer finds the binary of a server, or skips.
func lookServer(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin"} {
		if path := filepath.Join(dir, name); exists(path) {
			if os.Geteuid() != 0 {
				t.Skip("only root may start a server that logs root in")
			}
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// newSSHD makes the keys of an OpenSSH server on a free port of every loopback address.
func newSSHD(t testing.TB) *sshd {
	t.Helper()
	dir := t.TempDir()
	s := &sshd{
		target: muster.Target{ID: "host", Host: "127.0.0.1", Addr: mustAddr("127.0.0.1"), Port: freePort(t)},
		dir:    dir, id: filepath.Join(dir, "id"), known: filepath.Join(dir, "known_hosts"),
	}
	s.host = newKey(t, filepath.Join(dir, "host"), "").PublicKey()
	user := newKey(t, s.id, "")
	write(t, filepath.Join(dir, "authorized"), []byte(keyLine(user.PublicKey())))
	write(t, s.known, []byte(hostkey.Line(hostkey.Name("127.0.0.1", s.target.Port), s.host)+"\n"))
	return s
}

func keyLine(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

// configure writes the server's configuration; of a keyword the first value counts.
func (s *sshd) configure(t testing.TB, lines ...string) {
	t.Helper()
	lines = slices.Concat([]string{"MaxStartups 1000"}, lines, []string{ // of MaxStartups the last one counts
		fmt.Sprintf("Port %d", s.target.Port), "ListenAddress 0.0.0.0", "HostKey " + filepath.Join(s.dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized"), "UsePAM no", "StrictModes no", "PermitRootLogin yes",
		"PidFile none", "UseDNS no", "PrintLastLog no", "LogLevel VERBOSE",
		"SetEnv SHLVL=2", // of this level bash does not read the user's .bashrc
	})
	write(t, filepath.Join(s.dir, "sshd_config"), []byte(strings.Join(lines, "\n")+"\n"))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Skipf("privilege separation: %v", err)
	}
}

func (s *sshd) args() []string {
	return []string{"-D", "-f", filepath.Join(s.dir, "sshd_config"), "-E", filepath.Join(s.dir, "log")}
}

// startSSHD starts OpenSSH with further lines of configuration.
func startSSHD(t testing.TB, config ...string) *sshd {
	t.Helper()
	bin := lookServer(t, "sshd")
	s := newSSHD(t)
	s.configure(t, config...)
	s.pid = startServer(t, s.target.Port, bin, s.args()...)
	return s
}

// startServer runs a server until the test ends, and waits until it listens.
func startServer(t testing.TB, port uint16, bin string, args ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
	})
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			c.Close()
			return cmd.Process.Pid
		}
		select {
		case <-exited:
			t.Fatalf("%s ended: %v", bin, cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s does not listen: %v", bin, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// login is a login to s that depends on nothing of this machine.
func (s *sshd) login() SSHLogin {
	return SSHLogin{User: "root", Identity: []string{s.id}, Agent: "none", Config: "none", KnownHosts: []string{s.known}}
}

// run runs one command on s with a spec that change completes.
func (s *sshd) run(t testing.TB, command string, change func(*SSH)) muster.Result {
	t.Helper()
	spec := SSH{SSHLogin: s.login(), Command: command}
	if change != nil {
		change(&spec)
	}
	p := compileSSHTest(t, spec, Env{Timeout: 20 * time.Second})
	return p.Probe(t.Context(), s.target)
}

func compileSSHTest(t testing.TB, s SSH, env Env) *sshProber {
	t.Helper()
	if env.Secret == nil {
		env.Secret = func(ref string) (muster.Secret, error) {
			return muster.NewSecret(strings.TrimPrefix(ref, "test:")), nil
		}
	}
	p, err := compileSSH(s, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// log returns what the server wrote.
func (s *sshd) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}
