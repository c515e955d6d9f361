package probe

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strconv"

	"github.com/musterhq/muster"
)

// sudoRun is one command as another user. Its nonce tells what sudo and the wrapper say from what the command does.
type sudoRun struct {
	user     string
	password muster.Secret
	nonce    string
}

func newSudoRun(user string, password muster.Secret) *sudoRun {
	var b [8]byte
	rand.Read(b[:])
	return &sudoRun{user, password, hex.EncodeToString(b[:])}
}

func (s *sudoRun) prompt() string { return "[sudo " + s.nonce + "] " }
func (s *sudoRun) mark() string   { return "[muster " + s.nonce + "] " }

// wrap returns the line that runs line as the other user. It asks for a password on standard error, and says
// there, with its process number, when the command begins.
func (s *sudoRun) wrap(line string) string {
	begin := "echo " + shellWord(s.mark()) + "$$ >&2; exec sh -c \"$0\""
	return s.sudo(s.prompt()) + " sh -c " + shellWord(begin) + " " + shellWord(line)
}

func (s *sudoRun) sudo(prompt string) string {
	return "sudo -S -p " + shellWord(prompt) + " -u " + shellWord(s.user) + " --"
}

// kill returns the line that ends the process group of a command that wrap began.
func (s *sudoRun) kill(pid int) string {
	p := strconv.Itoa(pid)
	group := "g=-$(ps -o pgid= -p " + p + " 2>/dev/null | tr -d ' '); [ $g != - ] || g=-$(cut -d' ' -f5 /proc/" + p + "/stat)\n"
	return s.sudo("") + " sh -c " + shellWord(group+killGroups)
}

// The ends of commands that sudo does not run.
var (
	errSudoAsks    = &fault{failure: muster.FailAuth, reason: "sudo asks for a password", detail: "sudo asks for a password, and there is none (--ask-sudo-pass, --sudo-pass env:NAME)"}
	errSudoRefused = &fault{failure: muster.FailAuth, reason: "sudo password refused", detail: "sudo does not take the password"}
)

// maxGate bounds what sudo may say before the command begins.
const maxGate = 64 << 10

// sudoGate reads the stream on which sudo speaks: it answers the prompt, and lets through what comes after the
// command has begun.
type sudoGate struct {
	run    *sudoRun
	src    io.Reader
	answer io.Writer     // standard input of sudo
	hangUp func() error  // ends it
	opened chan struct{} // closed when sudo is done, one way or the other
	pid    int           // of the command; read it after opened
	fault  *fault        // why it was not run; read it after opened

	buf   []byte
	past  bool
	asked bool
	err   error // of src
}

// Read reads what the command writes, or all that sudo said when there was no command.
func (g *sudoGate) Read(p []byte) (int, error) {
	for !g.past {
		g.pass()
	}
	if len(g.buf) > 0 {
		n := copy(p, g.buf)
		g.buf = g.buf[n:]
		return n, nil
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.src.Read(p)
}

// pass takes one step towards the command.
func (g *sudoGate) pass() {
	var chunk [512]byte
	n, err := g.src.Read(chunk[:])
	g.buf = append(g.buf, chunk[:n]...)
	if g.err = err; err != nil || len(g.buf) > maxGate {
		g.open()
		return
	}
	if _, after, ok := bytes.Cut(g.buf, []byte(g.run.mark())); ok {
		if pid, rest, ok := bytes.Cut(after, []byte("\n")); ok {
			g.pid, _ = strconv.Atoi(string(bytes.TrimSpace(pid)))
			g.buf = rest
			g.open()
		}
		return
	}
	if before, after, ok := bytes.Cut(g.buf, []byte(g.run.prompt())); ok {
		g.buf = append(before[:len(before):len(before)], after...)
		g.prompted()
	}
}

// prompted answers a prompt; a second one says that the answer was wrong.
func (g *sudoGate) prompted() {
	switch {
	case g.run.password.IsZero():
		g.fault = errSudoAsks
	case g.asked:
		g.fault = errSudoRefused
	default:
		g.asked = true
		io.WriteString(g.answer, g.run.password.Reveal()+"\n")
		return
	}
	g.hangUp()
}

func (g *sudoGate) open() {
	g.past = true
	close(g.opened)
}

// began reports whether the command has begun.
func (g *sudoGate) began() bool {
	select {
	case <-g.opened:
		return g.pid > 0
	default:
		return false
	}
}

// verdict returns why sudo did not run the command that ended so; nil when it did, or when there is no gate.
func (g *sudoGate) verdict(e *sshEnd) error {
	switch {
	case g == nil || g.began():
		return nil
	case g.fault != nil:
		return g.fault
	case e.exited && e.status == 1:
		return &fault{failure: muster.FailAuth, reason: "sudo refused", detail: lastLine(e.stderr)}
	}
	return nil
}
