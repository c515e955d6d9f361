package probe

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// TestSSHConnectionsAreReused runs many commands on one host over one login, and logs in again when the server
// has given the connection up.
func TestSSHConnectionsAreReused(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t, func(ch ssh.Channel, reqs <-chan *ssh.Request) {
		for req := range reqs {
			req.Reply(true, nil)
			if req.Type == "exec" {
				ch.Write(req.Payload[4:])
				exit(ch, 0)
				return
			}
		}
	})
	conns := make(chan net.Conn, 100)
	s.wrap = func(c net.Conn) net.Conn {
		conns <- c
		return c
	}
	target := s.start(t)
	login := openLogin()
	login.HandshakeTimeout = 0
	run := func(p *sshProber, n int) {
		t.Helper()
		for i := range n {
			target.Vars = map[string]string{"n": fmt.Sprint(i)}
			if r := p.Probe(t.Context(), target); r.Outcome != muster.OK || string(r.Body) != "run "+fmt.Sprint(i) || !r.Address.IsValid() {
				t.Fatalf("%d: %+v", i, r)
			}
		}
	}
	kept := compileSSHTest(t, SSH{SSHLogin: login, Command: "run {{.n}}"}, Env{ReuseHint: true})
	run(kept, 10)
	if n := len(conns); n != 1 {
		t.Errorf("%d connections for 10 commands", n)
	}
	(<-conns).Close()
	run(kept, 10)
	if n := len(conns); n != 1 {
		t.Errorf("%d connections after the first one was lost", n)
	}
	fresh := compileSSHTest(t, SSH{SSHLogin: login, Command: "run {{.n}}"}, Env{})
	run(fresh, 3)
	if n := len(conns); n != 4 {
		t.Errorf("%d connections, want one more for each target", n)
	}
}
