package probe

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

// openLogin depends on nothing of this machine, and trusts everybody.
func openLogin() SSHLogin {
	return SSHLogin{User: "u", Agent: "none", Config: "none", HostKey: hostkey.Off, Identity: nil, HandshakeTimeout: muster.Duration(500 * time.Millisecond)}
}

// stalled is a connection that hangs after it has written so many bytes.
type stalled struct {
	net.Conn
	left atomic.Int64
}

func (s *stalled) Write(p []byte) (int, error) {
	if s.left.Add(-int64(len(p))) < 0 {
		io.Copy(io.Discard, s.Conn) // until the peer goes away
		return 0, net.ErrClosed
	}
	return s.Conn.Write(p)
}

func stallAfter(n int64) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn {
		s := &stalled{Conn: c}
		s.left.Store(n)
		return s
	}
}

func TestSSHFaults(t *testing.T) {
	t.Parallel()
	failed := func(f muster.Failure, reason string) ending {
		return ending{Outcome: muster.Failed, Failure: f, Reason: reason}
	}
	timeout := failed(muster.FailTimeout, "timeout")
	handshake := failed(muster.FailTimeout, "handshake timeout")
	drop := failed(muster.FailReset, "closed during the handshake")
	session := func(f func(ssh.Channel, <-chan *ssh.Request)) func(testing.TB) muster.Target {
		return func(t testing.TB) muster.Target { return newSSHServer(t, f).start(t) }
	}
	wrapped := func(wrap func(net.Conn) net.Conn) func(testing.TB) muster.Target {
		return func(t testing.TB) muster.Target {
			s := newSSHServer(t, func(ch ssh.Channel, reqs <-chan *ssh.Request) {})
			s.wrap = wrap
			return s.start(t)
		}
	}
	raw := func(text string, then func(*net.TCPConn)) func(testing.TB) muster.Target {
		return func(t testing.TB) muster.Target {
			return serve(t, func(c *net.TCPConn) {
				io.WriteString(c, text)
				then(c)
			})
		}
	}
	closed := func(c *net.TCPConn) { // with an orderly end, once the client has begun
		c.Read(make([]byte, 64))
		c.CloseWrite()
		io.Copy(io.Discard, c)
	}
	tests := []struct {
		name      string
		start     func(testing.TB) muster.Target
		want      ending
		transient bool
	}{
		{"hangs before its version", raw("", hang), handshake, true},
		{"hangs after its version", raw("SSH-2.0-x\r\n", hang), handshake, true},
		{"hangs in the key exchange", wrapped(stallAfter(900)), handshake, true},
		{"hangs in the login", func(t testing.TB) muster.Target {
			s := newSSHServer(t, nil)
			s.config.NoClientAuthCallback = func(ssh.ConnMetadata) (*ssh.Permissions, error) {
				<-t.Context().Done()
				return nil, t.Context().Err()
			}
			return s.start(t)
		}, handshake, true},
		{"drops before its version", raw("", func(*net.TCPConn) {}), drop, true},
		{"drops after its version", raw("SSH-2.0-x\r\n", closed), drop, true},
		{"MaxStartups", raw("Exceeded MaxStartups\r\n", closed), drop, true},
		{"is no SSH server", raw("HTTP/1.1 400 Bad Request\r\n\r\n", closed), failed(muster.FailProtocol, "not an SSH server"), false},
		{"is no SSH server and waits", raw("220 mail\r\n", hang), failed(muster.FailProtocol, "not an SSH server"), false},
		{"garbage for a key exchange", raw("SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff", closed), failed(muster.FailProtocol, "protocol"), false},
		{"never takes the command", session(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
			for range reqs { //nolint:revive // it reads and says nothing
			}
		}), timeout, true},
		{"refuses the command", session(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
			ssh.DiscardRequests(reqs)
		}), failed(muster.FailProtocol, "command refused"), false},
		{"command that hangs", session(func(_ ssh.Channel, reqs <-chan *ssh.Request) {
			if acceptExec(reqs) {
				ssh.DiscardRequests(reqs)
			}
		}), timeout, true},
		{"channel without a status", session(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
			if acceptExec(reqs) {
				io.WriteString(ch, "half")
				ch.Close()
			}
		}), ending{Outcome: muster.Failed, Failure: muster.FailExit, Reason: "no exit status", Body: "half"}, false},
		{"floods of requests before the command is taken", session(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
			for range 100 {
				ch.SendRequest("x", false, nil)
			}
			if acceptExec(reqs) {
				for range 100 {
					ch.SendRequest("x", false, nil)
				}
				exit(ch, 0)
			}
		}), ending{Outcome: muster.OK}, false},
		{"status, then silence", session(func(ch ssh.Channel, reqs <-chan *ssh.Request) {
			if acceptExec(reqs) {
				ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
				ch.CloseWrite()
				ssh.DiscardRequests(reqs)
			}
		}), timeout, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := compileSSHTest(t, SSH{SSHLogin: openLogin(), Command: "x"}, Env{Timeout: 1500 * time.Millisecond})
			began := time.Now()
			r := p.Probe(t.Context(), tt.start(t))
			if diff := cmp.Diff(tt.want, endingOf(r)); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, r.Detail)
			}
			if r.Transient != tt.transient {
				t.Errorf("transient %v", r.Transient)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

func TestSSHRefusedAndDenied(t *testing.T) {
	t.Parallel()
	p := compileSSHTest(t, SSH{SSHLogin: openLogin(), Command: "x"}, Env{})
	r := p.Probe(t.Context(), muster.Target{Host: "127.0.0.1", Addr: mustAddr("127.0.0.1"), Port: freePort(t)})
	if r.Failure != muster.FailRefused || r.Sent {
		t.Errorf("refused: %+v", r)
	}
	r = p.Probe(t.Context(), muster.Target{Host: "169.254.169.254", Addr: mustAddr("169.254.169.254")})
	if r.Outcome != muster.Denied {
		t.Errorf("denied: %+v", r)
	}
}

// TestSSHCancel ends an attempt in each of its phases within the second that a cancel may take.
func TestSSHCancel(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, chan struct{}) muster.Target{
		"handshake": func(t testing.TB, reached chan struct{}) muster.Target {
			return serve(t, func(c *net.TCPConn) {
				reached <- struct{}{}
				hang(c)
			})
		},
		"command": func(t testing.TB, reached chan struct{}) muster.Target {
			return newSSHServer(t, func(_ ssh.Channel, reqs <-chan *ssh.Request) {
				if acceptExec(reqs) {
					reached <- struct{}{}
					ssh.DiscardRequests(reqs)
				}
			}).start(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := openLogin()
			login.HandshakeTimeout = 0
			p := compileSSHTest(t, SSH{SSHLogin: login, Command: "x"}, Env{})
			reached := make(chan struct{}, 1)
			target := start(t, reached)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan muster.Result, 1)
			go func() { done <- p.Probe(ctx, target) }()
			<-reached
			began := time.Now()
			cancel()
			r := <-done
			if r.Outcome != muster.Canceled {
				t.Errorf("%+v", r)
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("the cancel took %v", d)
			}
		})
	}
}
