package probe

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/hostkey"
)

// anyLoopback trusts the server's key on all loopback addresses.
func (s *sshd) anyLoopback(t testing.TB) []string {
	t.Helper()
	path := filepath.Join(s.dir, "any")
	write(t, path, []byte(hostkey.Line("[127.*]:"+fmt.Sprint(s.target.Port), s.host)+"\n"))
	return []string{path}
}

func (s *sshd) at(address string) string { return fmt.Sprintf("root@%s:%d", address, s.target.Port) }

// TestOpenSSHJump reaches 20 targets through a chain of two jump hosts, each connected to once.
func TestOpenSSHJump(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	spec := SSH{SSHLogin: s.login(), Command: "echo $SSH_CONNECTION"}
	spec.KnownHosts, spec.Jump = s.anyLoopback(t), s.at("127.0.0.2")+","+s.at("127.0.0.3")
	p := compileSSHTest(t, spec, Env{Timeout: 30 * time.Second})
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			target := s.target
			target.Host = fmt.Sprintf("127.0.1.%d", i)
			target.Addr = mustAddr(target.Host)
			r := p.Probe(t.Context(), target)
			if r.Outcome != muster.OK || !strings.Contains(string(r.Body), target.Host) || r.Address.Addr() != target.Addr {
				t.Errorf("%s: %v %s %s %q", target.Host, r.Outcome, r.Reason, r.Detail, r.Body)
			}
		})
	}
	work.Wait()
	for jump, want := range map[string]int{"127.0.0.2": 1, "127.0.0.3": 1, "127.0.1.7": 1} {
		if got := strings.Count(s.log(), fmt.Sprintf(" on %s port %d", jump, s.target.Port)); got != want {
			t.Errorf("%s was connected to %d times, want %d", jump, got, want)
		}
	}
}

// TestOpenSSHJumpFailures tells what fails at the jump host from what fails behind it.
func TestOpenSSHJumpFailures(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	closed := startSSHD(t, "AllowTcpForwarding no")
	free := freePort(t)
	known := s.anyLoopback(t)
	tests := []struct {
		name, jump string
		change     func(*SSH, *muster.Target)
		outcome    muster.Outcome
		failure    muster.Failure
		reason     string
	}{
		{"target refuses", s.at("127.0.0.2"), func(_ *SSH, t *muster.Target) { t.Port = free }, muster.Failed, muster.FailRefused, "connection refused"},
		{"target is denied", s.at("127.0.0.2"), func(_ *SSH, t *muster.Target) { t.Host, t.Addr = "169.254.169.254", mustAddr("169.254.169.254") }, muster.Denied, 0, ""},
		{"target has another key", s.at("127.0.0.2"), func(spec *SSH, t *muster.Target) { t.Port = closed.target.Port }, muster.Failed, muster.FailAuth, hostkey.ReasonUnknown},
		{"jump host refuses", fmt.Sprintf("root@127.0.0.2:%d", free), nil, muster.Failed, muster.FailRefused, "jump host: connection refused"},
		{"jump host is denied", "root@169.254.169.254", nil, muster.Denied, 0, ""},
		{"jump host has another key", fmt.Sprintf("root@127.0.0.2:%d", closed.target.Port), nil, muster.Failed, muster.FailAuth, "jump host: " + hostkey.ReasonUnknown},
		{"jump host refuses the login", strings.Replace(s.at("127.0.0.2"), "root", "nobody", 1), nil, muster.Failed, muster.FailAuth, "jump host: login refused"},
		{"jump host does not forward", strings.Replace(closed.at("127.0.0.2"), "root", "root", 1), func(spec *SSH, _ *muster.Target) { spec.KnownHosts = closed.anyLoopback(t) }, muster.Failed, muster.FailUnreachable, "forwarding refused by the jump host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec, target := SSH{SSHLogin: s.login(), Command: "true"}, s.target
			spec.KnownHosts, spec.Jump = known, tt.jump
			spec.Identity = append(spec.Identity, closed.id)
			if tt.change != nil {
				tt.change(&spec, &target)
			}
			p := compileSSHTest(t, spec, Env{Timeout: 20 * time.Second})
			for range 2 {
				r := p.Probe(t.Context(), target)
				if r.Outcome != tt.outcome || r.Failure != tt.failure || tt.reason != "" && r.Reason != tt.reason {
					t.Errorf("%v %v %q: %s", r.Outcome, r.Failure, r.Reason, r.Detail)
				}
			}
		})
	}
}

// TestSSHJumpIsDialledAgain loses the connection to the jump host between two targets.
func TestSSHJumpIsDialledAgain(t *testing.T) {
	t.Parallel()
	target := newSSHServer(t, func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		if acceptExec(reqs) {
			exit(ch, 0)
		}
	}).start(t)
	jump := newSSHServer(t, nil)
	jump.forward = true
	conns := make(chan net.Conn, 10)
	jump.wrap = func(c net.Conn) net.Conn {
		conns <- c
		return c
	}
	login := openLogin()
	login.HandshakeTimeout = 0
	login.Jump = "u@" + jump.start(t).ID
	p := compileSSHTest(t, SSH{SSHLogin: login, Command: "x"}, Env{Dialer: new(dial.Dialer)})
	for range 3 {
		if r := p.Probe(t.Context(), target); r.Outcome != muster.OK {
			t.Fatalf("%+v", r)
		}
	}
	if n := len(conns); n != 1 {
		t.Errorf("%d connections to the jump host", n)
	}
	(<-conns).Close()
	waitUntil(t, "the loss to be noticed", func() bool {
		r := p.Probe(t.Context(), target)
		return r.Outcome == muster.OK && len(conns) == 1
	})
}
