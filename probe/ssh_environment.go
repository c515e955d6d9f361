package probe

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// prepare sets up the terminal and the environment. What the server does not take of the latter it puts in
// front of the command line, which it returns.
func (s *sshSession) prepare() (line string, err error) {
	if s.cmd.pty {
		ok, err := s.ch.SendRequest("pty-req", true, ssh.Marshal(ptyRequest{Term: "dumb", Columns: 80, Rows: 24, Modes: "\x00"}))
		if err != nil {
			return "", err
		}
		if !ok {
			return "", &fault{failure: muster.FailProtocol, reason: "no terminal", detail: "the server gives no terminal (PermitTTY)"}
		}
	}
	var refused []envVar
	for _, e := range s.cmd.env {
		if s.cmd.sudo != nil { // which drops what the server sets
			refused = append(refused, e)
			continue
		}
		ok, err := s.ch.SendRequest("env", true, ssh.Marshal(struct{ Name, Value string }{e.name, e.value}))
		if err != nil {
			return "", err
		}
		if !ok {
			refused = append(refused, e)
		}
	}
	line, err = withEnv(refused, s.cmd.line)
	if err == nil && s.cmd.sudo != nil {
		line = s.cmd.sudo.wrap(line)
	}
	return line, err
}

// ptyRequest is the payload of pty-req, RFC 4254 section 6.2. A terminal that is dumb gets no colours.
type ptyRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// withEnv returns a command line that sets variables by itself. Everybody on the target may read it, so that it takes no secret.
func withEnv(vars []envVar, line string) (string, error) {
	if len(vars) == 0 {
		return line, nil
	}
	var b strings.Builder
	b.WriteString("env")
	for _, v := range vars {
		if v.secret {
			return "", &fault{
				failure: muster.FailProtocol, reason: "environment refused",
				detail: "the variable " + v.name + " can only be set by the command line here (no AcceptEnv, or sudo), where a secret must not stand",
			}
		}
		b.WriteString(" " + v.name + "=" + shellWord(v.value))
	}
	b.WriteString(" sh -c " + shellWord(line))
	return b.String(), nil
}
