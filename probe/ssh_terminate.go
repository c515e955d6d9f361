package probe

import (
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// sigtermGrace is how long a remote process has after SIGTERM, and sigkillGrace after SIGKILL, until the
	// channel is closed; together with lastGrace well under the second in which a cancel must be over.
	sigtermGrace = 400 * time.Millisecond
	sigkillGrace = 200 * time.Millisecond
	// lastGrace is for messages that a server does not take.
	lastGrace = 100 * time.Millisecond
)

// terminate ends the command: it asks it to, kills it when it does not, and closes the connection.
func (s *sshSession) terminate() {
	last := time.AfterFunc(sigtermGrace+sigkillGrace+lastGrace, func() { s.conn.Conn.Close() })
	defer last.Stop()
	if g := s.gate; g != nil && g.began() {
		s.killAsOther()
	}
	for _, step := range []struct {
		signal ssh.Signal
		grace  time.Duration
	}{{ssh.SIGTERM, sigtermGrace}, {ssh.SIGKILL, sigkillGrace}} {
		s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{string(step.signal)}))
		pause := time.NewTimer(step.grace)
		select {
		case <-s.over:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
	s.ch.Close()
	s.conn.Conn.Close()
}

// killAsOther ends a command of another user over a channel of its own: the server may not signal it. The end of
// the connection ends the attempt, not the kill.
func (s *sshSession) killAsOther() {
	ch, reqs, err := s.conn.OpenChannel("session", nil)
	if err != nil {
		return
	}
	s.kill.Go(func() { ssh.DiscardRequests(reqs) })
	line := s.cmd.sudo.kill(s.gate.pid)
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{line})); ok && err == nil {
		ch.Write([]byte(s.cmd.sudo.password.Reveal() + "\n"))
		ch.CloseWrite()
	}
}
