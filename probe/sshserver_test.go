package probe

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// sshServer is a server in this process whose sessions a test writes by itself. Anybody may log in.
type sshServer struct {
	config  *ssh.ServerConfig
	session func(ch ssh.Channel, reqs <-chan *ssh.Request)
	wrap    func(net.Conn) net.Conn // nil: the connection itself
	forward bool                    // channels are connections to elsewhere
}

// newSSHServer returns a server with a fresh host key.
func newSSHServer(t testing.TB, session func(ssh.Channel, <-chan *ssh.Request)) *sshServer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{config: &ssh.ServerConfig{NoClientAuth: true}, session: session}
	s.config.AddHostKey(signer)
	return s
}

// start serves until the test ends.
func (s *sshServer) start(t testing.TB) muster.Target {
	t.Helper()
	return serve(t, func(c *net.TCPConn) {
		var conn net.Conn = c
		if s.wrap != nil {
			conn = s.wrap(c)
		}
		sc, chans, reqs, err := ssh.NewServerConn(conn, s.config)
		if err != nil {
			return
		}
		defer sc.Close()
		go ssh.DiscardRequests(reqs)
		for nc := range chans {
			if s.forward {
				go forwardTo(nc)
				continue
			}
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go s.session(ch, reqs)
		}
	})
}

// acceptExec answers requests until a command has been taken.
func acceptExec(reqs <-chan *ssh.Request) bool {
	for req := range reqs {
		req.Reply(true, nil)
		if req.Type == "exec" {
			return true
		}
	}
	return false
}

// exit ends a session with a status.
func exit(ch ssh.Channel, status uint32) {
	ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
	ch.Close()
}

// forwardTo does what a jump host does.
func forwardTo(nc ssh.NewChannel) {
	var to forwardRequest
	if err := ssh.Unmarshal(nc.ExtraData(), &to); err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	c, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer c.Close()
	ch, reqs, err := nc.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	go func() {
		io.Copy(ch, c)
		ch.Close()
	}()
	io.Copy(c, ch)
}
