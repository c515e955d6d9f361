package probe

import (
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// letGo is when the attempt ends, whatever the server does: well within the second in which a cancel must be over.
	letGo = 700 * time.Millisecond
	// signalPause is how long each means of ending a command has before the next one.
	signalPause = 250 * time.Millisecond
	// usualKillLimit bounds how long the connection is kept for the killer after that.
	usualKillLimit = 5 * time.Second
)

// killGroups ends the process groups $g, which are checked to be none that hold others.
const killGroups = `for x in $g; do case $x in -[0-9]*) ;; *) exit ;; esac; [ "$x" -lt -1 ] || exit; done
kill -TERM $g; i=0; while [ $i -lt 8 ] && kill -0 $g 2>/dev/null; do sleep 0.05; i=$((i+1)); done; kill -KILL $g 2>/dev/null`

// killSiblings ends the other commands of this connection. Servers may not signal root's commands, or only
// their shells. A command over the same connection knows the others by three signs, all of which must
// hold: they lead a process group, have the parent that it has itself, which is not init, and were given
// the same SSH_CONNECTION, which is the connection's ports and addresses. Where there is no /proc, or a sign is missing, nothing
// is done. A command that the server is just starting shows them a moment later.
const killSiblings = `[ -n "$SSH_CONNECTION" ] && [ -r /proc/self/environ ] || exit
stat() { read -r s </proc/$1/stat || return; set -- ${s##*) }; parent=$2 group=$3; }
stat $$ && me=$group && stat $me && daemon=$parent && [ "$daemon" -gt 1 ] || exit
g= n=0
while [ -z "$g" ] && [ $n -lt 3 ]; do
[ $n = 0 ] || sleep 0.1; n=$((n+1))
for f in /proc/[0-9]*; do
p=${f#/proc/}; { stat $p; } 2>/dev/null || continue
[ "$parent" = "$daemon" ] && [ "$group" = "$p" ] && [ "$p" != "$me" ] || continue
tr '\0' '\n' <$f/environ 2>/dev/null | grep -qxF "SSH_CONNECTION=$SSH_CONNECTION" && g="$g -$p"
done
done
[ -n "$g" ] || exit
`

// terminate ends the command: it is asked to, killed when it does not, and the connection is closed. done says
// that nothing works on the session any more. What takes longer than an attempt may goes on behind it.
func (s *sshSession) terminate(done <-chan struct{}) *sshEnd {
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		s.kill()
	}()
	select {
	case <-done:
		s.conn.Close()
		<-killed
		return &s.end
	case <-time.After(letGo):
		s.conn.leave(done, killed)
		if head := s.head.Load(); head != nil {
			return head
		}
		return &sshEnd{sent: true}
	}
}

// leave closes the connection behind the attempt, once what ends the command has done so.
func (c *sshConn) leave(done, killed <-chan struct{}) {
	c.left = true
	c.work.Go(func() {
		select {
		case <-done:
		case <-killed:
		case <-time.After(c.killLimit):
		}
		c.close()
		<-done
		<-killed
	})
}

// kill ends the command by a command beside it. Where that did not do it, the server is asked to signal by itself: not
// before, since one that signals the shell alone would hide the shell's children from the killer.
func (s *sshSession) kill() {
	s.runKiller()
	for _, signal := range []ssh.Signal{"", ssh.SIGTERM, ssh.SIGKILL} {
		if signal != "" {
			s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{string(signal)}))
		}
		select {
		case <-s.over:
			return
		case <-time.After(signalPause):
		}
	}
}

// runKiller runs what ends the command over a channel of its own, and waits until it has.
func (s *sshSession) runKiller() {
	ch, reqs, err := s.conn.OpenChannel("session", nil)
	if err != nil {
		return
	}
	line, input := "sh -c "+shellWord(killSiblings+killGroups), ""
	if s.gate != nil && s.gate.began() {
		line, input = s.cmd.sudo.kill(s.gate.pid), s.cmd.sudo.password.Reveal()+"\n"
	}
	ch.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{line}))
	ch.Write([]byte(input))
	ch.CloseWrite()
	ssh.DiscardRequests(reqs)
}
