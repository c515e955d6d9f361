package probe

import (
	"errors"
	"strings"

	"github.com/musterhq/muster/hostkey"
)

// validate adds every problem of the login.
func (l *SSHLogin) validate(p *problems) {
	if l.Port != "" && !isTemplate(l.Port) {
		_, err := parsePort(l.Port)
		p.add(err)
	}
	if l.HostKey != "" {
		_, err := hostkey.ParseMode(string(l.HostKey))
		p.add(err)
	}
	if l.Jump != "" && !isTemplate(l.Jump) {
		_, err := parseJumps(l.Jump)
		p.add(err)
	}
	p.addIf(l.HandshakeTimeout < 0, "handshake_timeout %v: want a positive duration", l.HandshakeTimeout)
}

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (s SSH) Validate() error {
	var p problems
	s.SSHLogin.validate(&p)
	p.addIf(strings.TrimSpace(s.Command) == "" && s.Script == "", "command: there is none; an interactive shell is not for many targets")
	p.addIf(s.Command != "" && s.Script != "", "command and script: one of them")
	p.addIf(s.Args != "" && s.Script == "", "args: they are a script's; a command holds its own")
	for _, e := range s.Env {
		p.addIf(!isEnvName(e.Name), "env %q: want a name of letters, digits and _", e.Name)
	}
	p.addIf(s.BodyLimit < 0 || s.BodyLimit > maxBodyLimit, "body_limit %d: want 1 to %d bytes", s.BodyLimit, maxBodyLimit)
	return errors.Join(p...)
}

// isEnvName reports whether a POSIX shell takes s as the name of a variable.
func isEnvName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
