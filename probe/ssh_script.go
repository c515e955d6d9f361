package probe

import (
	"bytes"
	"strings"

	"github.com/musterhq/muster"
)

// maxScript bounds a script: it is held in memory, once for all targets.
const maxScript = 64 << 20

// sshScript is a program that is brought along.
type sshScript struct {
	text        []byte
	interpreter string // of its first line, or sh; "" when it runs by itself
}

func newSSHScript(text []byte) *sshScript {
	s := &sshScript{text: text, interpreter: "sh"}
	if first, ok := bytes.CutPrefix(text, []byte("#!")); ok {
		line, _, _ := bytes.Cut(first, []byte("\n"))
		s.interpreter = strings.TrimSpace(string(line))
	} else if bytes.HasPrefix(text, []byte("\x7fELF")) {
		s.interpreter = ""
	}
	return s
}

// uploadLine stores standard input in a file that only its user can read, and prints its path.
const uploadLine = `umask 077; f=$(mktemp "${TMPDIR:-/tmp}/muster.XXXXXXXXXX") || exit; trap 'rm -f "$f"; exit 143' HUP INT TERM; ` +
	`if cat >"$f" && chmod 700 "$f"; then printf %s "$f"; else s=$?; rm -f "$f"; exit $s; fi`

// upload is the command that stores the script.
func (s *sshScript) upload() *sshCommand {
	return &sshCommand{line: "sh -c " + shellWord(uploadLine), stdin: s.text, limit: 4 << 10}
}

// line returns what runs the stored script with its arguments, and removes it whatever becomes of it. A
// signal ends the script first.
func (s *sshScript) line(path, args string) string {
	path = shellWord(path)
	run := path
	if s.interpreter != "" {
		run = s.interpreter + " " + path
	}
	if args != "" {
		run += " " + args
	}
	return "sh -c " + shellWord("trap : HUP INT TERM; "+run+"; s=$?; rm -f "+path+"; exit $s")
}

// uploadedPath returns where an upload that ended well has put the script.
func uploadedPath(e *sshEnd) (string, error) {
	path := string(e.stdout)
	switch {
	case e.sudo != nil:
		return "", e.sudo
	case e.exited && e.status == 0 && strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "\r\n\x00"):
		return path, nil
	case e.exited && e.status == 0:
		return "", &fault{failure: muster.FailProtocol, reason: "script not stored", detail: "storing the script did not print its path: does the login shell print a greeting?"}
	}
	return "", nil
}
