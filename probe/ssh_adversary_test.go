package probe

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

// adversary is a login to a server of this process.
func adversary() SSHLogin {
	return SSHLogin{User: "anybody", Agent: "none", Config: "none", HostKey: hostkey.Off}
}

// TestSSHHeadOfEndlessOutput keeps what came of an output that is too large, also when the server does not let the command end.
func TestSSHHeadOfEndlessOutput(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	defer close(over)
	s := newSSHServer(t, func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		acceptExec(reqs)
		ch.Write(make([]byte, 1000))
		<-over
	})
	p := compileSSHTest(t, SSH{SSHLogin: adversary(), Command: "yes", BodyLimit: 100}, Env{Timeout: 20 * time.Second})
	r := p.Probe(t.Context(), s.start(t))
	if r.Failure != muster.FailTooLarge || len(r.Body) != 100 || !r.Truncated || !r.Sent {
		t.Errorf("%v %s, %d bytes of body", r.Failure, r.Reason, len(r.Body))
	}
}

// TestSSHAgentAnswersLate asks nothing more of an agent whose answer did not come in time: it would get that one.
func TestSSHAgentAnswersLate(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	c := &patientConn{near, 10 * time.Millisecond}
	go far.Read(make([]byte, 1))
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{2}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a further question: %v", err)
	}
}

// TestSSHGreetingBeforeVersion lets a server speak before it says its version, as RFC 4253 allows.
func TestSSHGreetingBeforeVersion(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t, nil)
	s.wrap = func(c net.Conn) net.Conn {
		c.Write([]byte(strings.Repeat("welcome, whoever you are\r\n", 20))) // more than one read takes
		return c
	}
	login := adversary()
	login.HostKey, login.KnownHosts = hostkey.Strict, []string{"/dev/null"}
	p := compileSSHTest(t, SSH{SSHLogin: login, Command: "true"}, Env{Timeout: 20 * time.Second})
	r := p.Probe(t.Context(), s.start(t))
	if r.Failure != muster.FailAuth || r.Reason != hostkey.ReasonUnknown {
		t.Errorf("%v %s: %s", r.Failure, r.Reason, r.Detail)
	}
}

// TestSSHJumpNumericHost refuses names that are addresses to a jump host alone.
func TestSSHJumpNumericHost(t *testing.T) {
	t.Parallel()
	login := adversary()
	login.Jump = "127.0.0.1:1"
	p := compileSSHTest(t, SSH{SSHLogin: login, Command: "true"}, Env{Timeout: time.Second})
	for _, host := range []string{"2852039166", "0xA9FEA9FE", "169.254.43518", "0251.0376.0251.0376", "169.254.0xa9.254"} {
		if err := p.Check(&muster.Target{ID: host, Host: host}); err == nil || !strings.Contains(err.Error(), "a.b.c.d") {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"web1", "1.example.com", "face.b00c", "0xy"} {
		if err := p.Check(&muster.Target{ID: host, Host: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestSSHJumpNotSharedUnverified has two names of one jump host, of which one does without its key.
func TestSSHJumpNotSharedUnverified(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, []byte("Host trusting\nHostName 127.0.0.1\nStrictHostKeyChecking no\nHost strict\nHostName 127.0.0.1\n"))
	login := adversary()
	login.Config, login.HostKey, login.Jump = config, "", "{{.jump}}"
	p := compileSSHTest(t, SSH{SSHLogin: login, Command: "true"}, Env{})
	key := func(jump string) string {
		r, d := p.login.route(t.Context(), &muster.Target{Host: "web", Vars: map[string]string{"jump": jump}})
		if d != nil {
			t.Fatal(d.err)
		}
		return r.via.key()
	}
	if a, b := key("trusting"), key("strict"); a == b || a != key("trusting") {
		t.Errorf("%s, %s", a, b)
	}
}

// TestSSHSecretsThatShow refuses secrets in what the target's processes, previews and results show.
func TestSSHSecretsThatShow(t *testing.T) {
	t.Parallel()
	const secret = `{{secret "test:hunter2"}}`
	env := Env{Secret: func(string) (muster.Secret, error) { return muster.NewSecret("hunter2"), nil }}
	login := adversary()
	named := login
	named.User = secret
	for name, spec := range map[string]interface {
		Prober(Env) (muster.Prober, error)
	}{
		"command": SSH{SSHLogin: login, Command: "mysql -p" + secret},
		"user":    SSH{SSHLogin: named, Command: "true"},
		"fetch":   Copy{SSHLogin: login, Sources: []string{"/etc/" + secret}, Dest: t.TempDir(), Fetch: true},
		"copy":    Copy{SSHLogin: login, Sources: []string{"/dev/null"}, Dest: "/etc/" + secret},
	} {
		_, err := spec.Prober(env)
		if err == nil || !strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless is a folder whose listing never ends.
type endless struct{ sftp.Handlers }

func (endless) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "List" {
		return endless{}, nil
	}
	return oneFolder{}, nil
}

func (endless) ListAt(to []fs.FileInfo, _ int64) (int, error) {
	for i := range to {
		to[i] = folderInfo{}
	}
	return len(to), nil
}

type oneFolder struct{}

func (oneFolder) ListAt(to []fs.FileInfo, _ int64) (int, error) {
	to[0] = folderInfo{}
	return 1, nil
}

type folderInfo struct{ fs.FileInfo }

func (folderInfo) Name() string       { return strings.Repeat("x", 250) }
func (folderInfo) Size() int64        { return 0 }
func (folderInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (folderInfo) ModTime() time.Time { return time.Unix(0, 0) }
func (folderInfo) IsDir() bool        { return true }
func (folderInfo) Sys() any           { return nil }

// TestCopyEndlessFolder fetches from a server whose folder never ends.
func TestCopyEndlessFolder(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t, func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			req.Reply(true, nil)
			if req.Type == "subsystem" {
				break
			}
		}
		server := sftp.NewRequestServer(ch, sftp.Handlers{FileList: endless{}})
		server.Serve()
	})
	p := compileCopyTest(t, Copy{SSHLogin: adversary(), Sources: []string{"/all"}, Dest: t.TempDir(), Fetch: true}, Env{Timeout: 30 * time.Second})
	r := p.Probe(t.Context(), s.start(t))
	if r.Failure != muster.FailTooLarge || r.Reason != "too many files" {
		t.Errorf("%v %v %s: %s after %v", r.Outcome, r.Failure, r.Reason, r.Detail, r.Timings.Total)
	}
}

// TestCopyNameOfTwoLines lets the name of a file forge no line of another.
func TestCopyNameOfTwoLines(t *testing.T) {
	t.Parallel()
	var done copied
	done.add("/a\n0000  /etc/passwd", 1, []byte{0xab})
	done.add(`/b\n`, 1, []byte{0xcd})
	if want, got := "\\ab  /a\\n0000  /etc/passwd\n\\cd  /b\\\\n\n", done.body.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
