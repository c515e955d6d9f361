package probe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// chunks is a connection on which a text arrives in pieces of one size.
type chunks struct {
	net.Conn
	text []byte
	size int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}

func (c *chunks) SetReadDeadline(time.Time) error { return nil }

// FuzzTCPChunks has the same dialogue come in one piece and in others: nothing changes.
func FuzzTCPChunks(f *testing.F) {
	f.Add([]byte("220-a\r\n220 b\r\n250 ok\r\nrest"), byte(1))
	f.Add([]byte("220 b\n250 unfinished"), byte(3))
	f.Add([]byte("\r\n\r\n\n220"), byte(2))
	f.Add([]byte("220 \xff\x00end"), byte(5))
	spec := TCP{Steps: []Step{{Expect: `^220 (\S*)`}, {ExpectBytes: `5`}, {Expect: `(?P<word>\w+)$`}}, Until: "delim:r", BodyLimit: 300}
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		talks := func(size int) string {
			p := compileTCPSpec(t, spec, Env{})
			s, d := p.script(&muster.Target{ID: "t", Host: "t", Port: 1}, false)
			if d != nil {
				t.Fatal(d.err)
			}
			c := &chunks{text: text, size: size}
			k := talk{p: p, s: s, r: new(muster.Result), raw: c, conn: c, end: time.Now().Add(time.Minute)}
			status, err := k.run()
			if errors.Is(err, errMuch) {
				return "too much" // how much of it had been looked at is up to the pieces
			}
			return fmt.Sprintf("%s %v %q %q %q", status, err, k.in, k.groups, k.caught)
		}
		if len(text) > 300 {
			return // whether an expectation is met before the limit is, too
		}
		whole, cut := talks(len(text)+1), talks(int(size)+1)
		if whole != cut {
			t.Errorf("%q in one piece: %s\nin pieces of %d: %s", text, whole, int(size)+1, cut)
		}
	})
}
