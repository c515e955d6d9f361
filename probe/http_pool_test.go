package probe

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// serveCounting keeps connections and calls before with the number of each and of each request on it.
func serveCounting(t testing.TB, conns *atomic.Int32, before func(c *net.TCPConn, conn, request int) bool) muster.Target {
	return serve(t, func(c *net.TCPConn) {
		conn := int(conns.Add(1))
		br := bufio.NewReader(c)
		for n := 1; ; n++ {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			if !before(c, conn, n) {
				return
			}
			io.WriteString(c, okHead+"Content-Length: 2\r\n\r\nhi")
		}
	})
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	var conns, asked atomic.Int32
	target := serveCounting(t, &conns, func(*net.TCPConn, int, int) bool { asked.Add(1); return true })
	p := compile(t, HTTP{}, Env{ReuseHint: true})
	for range 50 {
		if r := p.Probe(t.Context(), target); r.Outcome != muster.OK || string(r.Body) != "hi" {
			t.Fatal(r.Outcome, r.Detail)
		}
	}
	if conns.Load() != 1 || asked.Load() != 50 {
		t.Errorf("%d connections for %d requests", conns.Load(), asked.Load())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if r := p.Probe(t.Context(), target); r.Outcome != muster.OK {
					t.Error(r.Outcome, r.Detail)
				}
			}
		})
	}
	wg.Wait()
	if conns.Load() > 9 {
		t.Errorf("%d connections for 8 at a time", conns.Load())
	}
}

func TestKeepAliveTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	var conns atomic.Int32
	target := serve(t, func(raw *net.TCPConn) {
		conns.Add(1)
		c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		br := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(c, okHead+"Content-Length: 2\r\n\r\nhi")
		}
	})
	target.Scheme = "https"
	p := compile(t, HTTP{TLS: TLS{CA: a.ca()}}, Env{ReuseHint: true})
	for range 10 {
		if r := p.Probe(t.Context(), target); r.Outcome != muster.OK || string(r.Body) != "hi" {
			t.Fatal(r.Outcome, r.Failure, r.Detail)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections for 10 requests", conns.Load())
	}
}

// A server that takes the second request of a connection and closes without an answer: it may have
// acted on it.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spec   HTTP
		repeat muster.Repeat
		again  bool
	}{
		{"get", HTTP{}, "", true},
		{"get, never", HTTP{}, muster.RepeatNever, false},
		{"post", HTTP{Body: "x"}, "", false},
		{"post, safe", HTTP{Body: "x"}, muster.RepeatSafe, true},
	} {
		for _, std := range []bool{false, true} {
			var conns, asked atomic.Int32
			target := serveCounting(t, &conns, func(_ *net.TCPConn, conn, n int) bool {
				asked.Add(1)
				return conn > 1 || n == 1
			})
			spec := c.spec
			if std {
				spec.Follow = 1
			}
			p := compile(t, spec, Env{ReuseHint: true, Repeat: c.repeat})
			if r := p.Probe(t.Context(), target); r.Outcome != muster.OK {
				t.Fatal(c.name, r.Outcome, r.Detail)
			}
			r := p.Probe(t.Context(), target)
			switch {
			case std:
				// net/http decides by method; what matters is that a request that must not be repeated is not.
				if !c.again && asked.Load() > 2 {
					t.Errorf("%s (std): sent %d times", c.name, asked.Load())
				}
			case c.again && (r.Outcome != muster.OK || asked.Load() != 3):
				t.Errorf("%s: %v after %d requests, want it sent again", c.name, r.Outcome, asked.Load())
			case !c.again && (r.Failure != muster.FailReset || asked.Load() != 2 || !r.Sent):
				t.Errorf("%s: %v %v after %d requests, want it not repeated", c.name, r.Outcome, r.Failure, asked.Load())
			}
		}
	}
}

// A connection that the server closed while it was idle is found out before anything is sent on it.
func TestIdleCloseCostsNothing(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	closed := make(chan bool, 1)
	target := serve(t, func(c *net.TCPConn) {
		conns.Add(1)
		answerWith(okHead + "Content-Length: 2\r\n\r\nhi")(c)
		c.CloseWrite()
		closed <- true
		io.Copy(io.Discard, c)
	})
	p := compile(t, HTTP{Body: "x"}, Env{ReuseHint: true})
	for range 5 {
		r := p.Probe(t.Context(), target)
		if r.Outcome != muster.OK {
			t.Fatalf("%v %v: %s", r.Outcome, r.Failure, r.Detail)
		}
		<-closed
	}
	if conns.Load() != 5 {
		t.Errorf("%d connections", conns.Load())
	}
}
