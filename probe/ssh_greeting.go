package probe

import (
	"bytes"
	"fmt"
	"net"

	"github.com/musterhq/muster"
)

// sshGreeting is a connection that keeps the first bytes of the server. The library reads the version line
// byte by byte, which from here costs one read instead of one per byte.
type sshGreeting struct {
	net.Conn
	buf  [256]byte
	r, n int
}

// Read reads from what came first, then from the connection.
func (g *sshGreeting) Read(p []byte) (int, error) {
	if g.n == 0 {
		n, err := g.Conn.Read(g.buf[:])
		g.n = n
		if err != nil {
			return 0, err
		}
	}
	if g.r < g.n {
		n := copy(p, g.buf[g.r:g.n])
		g.r += n
		return n, nil
	}
	return g.Conn.Read(p)
}

// fault says what is wrong with a server that began with anything but its version; nil when nothing is.
func (g *sshGreeting) fault() error {
	head := g.buf[:g.n]
	switch {
	case len(head) == 0 || bytes.Contains(head, []byte("SSH-")):
		return nil
	case bytes.HasPrefix(head, []byte("Exceeded MaxStartups")):
		return errMaxStartups
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return &fault{failure: muster.FailProtocol, reason: "not an SSH server", detail: fmt.Sprintf("not an SSH server: it says %q", line[:min(len(line), maxQuote)])}
}

// errMaxStartups is the end of a connection to a server that has too many logins under way.
var errMaxStartups = &fault{muster.FailReset, "closed during the handshake", "the server closed the connection before the SSH login, as one does that has too many of them under way (MaxStartups)", true}
