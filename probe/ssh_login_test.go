package probe

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

func TestSSHPasswords(t *testing.T) {
	t.Parallel()
	check := func(password string) error {
		if password != "sesame" {
			return errors.New("no")
		}
		return nil
	}
	echo := func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		if acceptExec(reqs) {
			exit(ch, 0)
		}
	}
	methods := map[string]func(*ssh.ServerConfig){
		"password": func(c *ssh.ServerConfig) {
			c.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return nil, check(string(p)) }
		},
		"keyboard-interactive": func(c *ssh.ServerConfig) {
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", []string{"Name: ", "Password: "}, []bool{true, false})
				if err != nil || len(answers) != 2 || answers[0] != "" {
					return nil, errors.New("no")
				}
				return nil, check(answers[1])
			}
		},
	}
	for name, set := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSSHServer(t, echo)
			s.config.NoClientAuth = false
			set(s.config)
			target := s.start(t)
			for ref, want := range map[string]string{"test:sesame": "", "test:open": "login refused", "": "login refused"} {
				login := openLogin()
				login.HandshakeTimeout, login.Password, login.Identity = 0, ref, nil
				r := compileSSHTest(t, SSH{SSHLogin: login, Command: "x"}, Env{}).Probe(t.Context(), target)
				if r.Reason != want || strings.Contains(r.Detail, "sesame") || strings.Contains(r.Detail, "open") {
					t.Errorf("%q: %s (%s)", ref, r.Reason, r.Detail)
				}
			}
		})
	}
}

func TestOpenSSHProtectedKey(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	protected := filepath.Join(s.dir, "protected")
	user := newKey(t, protected, "open sesame")
	write(t, filepath.Join(s.dir, "authorized"), ssh.MarshalAuthorizedKey(user.PublicKey()))
	r := s.run(t, "echo in", func(spec *SSH) { spec.Identity, spec.Passphrase = []string{protected}, "test:open sesame" })
	if r.Outcome != muster.OK {
		t.Errorf("with its passphrase: %+v", r)
	}
	r = s.run(t, "echo in", func(spec *SSH) { spec.Identity = []string{protected} })
	if r.Reason != "login refused" || !strings.Contains(r.Detail, "protected") || !strings.Contains(r.Detail, "--ask-passphrase") {
		t.Errorf("without: %+v", r)
	}
}

// TestOpenSSHAgent logs in with a key that only a real agent holds.
func TestOpenSSHAgent(t *testing.T) {
	t.Parallel()
	bin, err := exec.LookPath("ssh-agent")
	if err != nil {
		t.Skip("ssh-agent is not installed")
	}
	s := startSSHD(t)
	socket := filepath.Join(s.dir, "agent")
	cmd := exec.Command(bin, "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	text, err := os.ReadFile(s.id)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	conn := dialUntil(t, "unix", socket)
	defer conn.Close()
	if err := agent.NewClient(conn).Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(s.dir, "none")
	config := filepath.Join(s.dir, "config")
	write(t, config, []byte("IdentitiesOnly yes\nIdentityFile "+s.id+".pub\nIdentityAgent "+socket+"\n"))
	for name, change := range map[string]func(*SSH){
		"all keys of the agent":         func(spec *SSH) { spec.Agent, spec.Identity = socket, nil },
		"the one that a public half is": func(spec *SSH) { spec.Agent, spec.Identity = socket, []string{s.id + ".pub"} },
		"by the configuration":          func(spec *SSH) { spec.Agent, spec.Identity, spec.Config = "", nil, config },
	} {
		if r := s.run(t, "echo in", change); r.Outcome != muster.OK {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r := s.run(t, "echo in", func(spec *SSH) { spec.Agent, spec.Identity = none, nil })
	if r.Reason != "login refused" || !strings.Contains(r.Detail, "agent") {
		t.Errorf("no agent: %+v", r)
	}
}

// TestSSHAgentThatHangs bounds the wait for an agent that lists its keys and then never signs.
func TestSSHAgentThatHangs(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	signer := newKey(t, filepath.Join(t.TempDir(), "id"), "")
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 64))
		blob := signer.PublicKey().Marshal()
		body := ssh.Marshal(struct {
			Kind    byte
			Count   uint32
			Blob    []byte
			Comment string
		}{12, 1, blob, "key"})
		c.Write(append(ssh.Marshal(struct{ N uint32 }{uint32(len(body))}), body...))
		io.Copy(io.Discard, c)
	}()
	s := newSSHServer(t, nil)
	s.config.NoClientAuth = false
	s.config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
	login := openLogin()
	login.Agent, login.HostKey = socket, hostkey.Off
	began := time.Now()
	r := compileSSHTest(t, SSH{SSHLogin: login, Command: "x"}, Env{}).Probe(t.Context(), s.start(t))
	if r.Outcome != muster.Failed || r.Failure != muster.FailTimeout && r.Failure != muster.FailAuth {
		t.Errorf("%+v", r)
	}
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
}

func dialUntil(t testing.TB, network, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial(network, address)
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestOpenSSHCertificates logs in with a certified key, by an authority that the server trusts.
func TestOpenSSHCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newKey(t, filepath.Join(dir, "ca"), "")
	s := startSSHD(t, "TrustedUserCAKeys "+filepath.Join(dir, "ca.pub"))
	certify := func(key ssh.PublicKey, kind uint32, principal, path string) {
		c := &ssh.Certificate{Key: key, CertType: kind, KeyId: "test", ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		write(t, path, ssh.MarshalAuthorizedKey(c))
	}
	id := filepath.Join(dir, "id")
	certify(newKey(t, id, "").PublicKey(), ssh.UserCert, "root", filepath.Join(dir, "elsewhere"))
	r := s.run(t, "echo in", func(spec *SSH) { spec.Identity = []string{id} })
	if r.Reason != "login refused" {
		t.Errorf("without the certificate: %+v", r)
	}
	r = s.run(t, "echo in", func(spec *SSH) {
		spec.Identity, spec.Certificates = []string{id}, []string{filepath.Join(dir, "elsewhere")}
	})
	if r.Outcome != muster.OK {
		t.Errorf("with the certificate: %+v", r)
	}
	if err := os.Rename(filepath.Join(dir, "elsewhere"), id+"-cert.pub"); err != nil {
		t.Fatal(err)
	}
	if r = s.run(t, "echo in", func(spec *SSH) { spec.Identity = []string{id} }); r.Outcome != muster.OK {
		t.Errorf("with the certificate beside the key: %+v", r)
	}
}

// TestOpenSSHHostCertificate trusts a host by its authority alone.
func TestOpenSSHHostCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newKey(t, filepath.Join(dir, "ca"), "")
	host := newKey(t, filepath.Join(dir, "host"), "")
	c := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "host-cert.pub"), ssh.MarshalAuthorizedKey(c))
	s := startSSHD(t, "HostKey "+filepath.Join(dir, "host"), "HostCertificate "+filepath.Join(dir, "host-cert.pub"))
	known := filepath.Join(dir, "known_hosts")
	write(t, known, []byte("@cert-authority "+hostkey.Line("[127.0.0.*]:*", ca.PublicKey())+"\n"))
	if r := s.run(t, "echo in", func(spec *SSH) { spec.KnownHosts = []string{known} }); r.Outcome != muster.OK {
		t.Errorf("%+v", r)
	}
}

// TestOpenSSHConfig reaches a host as the configuration says, under a name that only it knows.
func TestOpenSSHConfig(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	config := filepath.Join(s.dir, "config")
	write(t, config, fmt.Appendf(nil, `Host db
  HostName 127.0.0.1
  Port %d
  User root
  IdentityFile %s
  UserKnownHostsFile %s
Host odd
  ProxyCommand nc %%h %%p
`, s.target.Port, s.id, s.known))
	spec := SSH{SSHLogin: SSHLogin{Config: config, Agent: "none"}, Command: "echo in"}
	p := compileSSHTest(t, spec, Env{})
	if r := p.Probe(t.Context(), muster.Target{ID: "db", Host: "db"}); r.Outcome != muster.OK || r.Address.Port() != s.target.Port {
		t.Errorf("%+v", r)
	}
	r := p.Probe(t.Context(), muster.Target{ID: "odd", Host: "odd"})
	if r.Outcome != muster.Invalid || !strings.Contains(r.Detail, "--jump") {
		t.Errorf("%+v", r)
	}
}
