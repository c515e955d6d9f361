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
	"github.com/musterhq/muster/dial"
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

// asker sends requests one after the other, over connections that it may keep.
type asker struct {
	name  string
	start func(t testing.TB, p *httpProber) (ask func(muster.Target) muster.Result)
}

func askers() []asker {
	return append(loopAskers(), asker{"goroutine", func(t testing.TB, p *httpProber) func(muster.Target) muster.Result {
		return func(target muster.Target) muster.Result { return p.Probe(t.Context(), target) }
	}})
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, way := range askers() {
		var conns, asked atomic.Int32
		target := serveCounting(t, &conns, func(*net.TCPConn, int, int) bool { asked.Add(1); return true })
		budget := &dial.Budget{Limit: 100}
		p := compile(t, HTTP{}, Env{ReuseHint: true, Dialer: &dial.Dialer{Budget: budget}})
		ask := way.start(t, p)
		for range 50 {
			if r := ask(target); r.Outcome != muster.OK || string(r.Body) != "hi" || !r.Sent || r.Address.Port() != target.Port {
				t.Fatal(way.name, r.Outcome, r.Detail)
			}
		}
		if conns.Load() != 1 || asked.Load() != 50 || budget.InUse() != 1 {
			t.Errorf("%s: %d connections for %d requests, %d open", way.name, conns.Load(), asked.Load(), budget.InUse())
		}
	}
}

func TestKeepAliveOfMany(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	target := serveCounting(t, &conns, func(*net.TCPConn, int, int) bool { return true })
	p := compile(t, HTTP{}, Env{ReuseHint: true})
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
	if conns.Load() > 8 {
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
		for _, way := range append(askers(), asker{name: "std", start: askers()[len(askers())-1].start}) {
			std := way.name == "std"
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
			ask := way.start(t, p)
			if r := ask(target); r.Outcome != muster.OK {
				t.Fatal(way.name, c.name, r.Outcome, r.Detail)
			}
			r := ask(target)
			switch {
			case std:
				// net/http decides by method; what matters is that a request that must not be repeated is not.
				if !c.again && asked.Load() > 2 {
					t.Errorf("%s (std): sent %d times", c.name, asked.Load())
				}
			case c.again && (r.Outcome != muster.OK || asked.Load() != 3):
				t.Errorf("%s, %s: %v after %d requests, want it sent again", way.name, c.name, r.Outcome, asked.Load())
			case !c.again && (r.Failure != muster.FailReset || asked.Load() != 2 || !r.Sent):
				t.Errorf("%s, %s: %v %v after %d requests, want it not repeated", way.name, c.name, r.Outcome, r.Failure, asked.Load())
			}
		}
	}
}

// A request goes to a fresh connection once, however often it is lost there.
func TestStaleIsSentAgainOnce(t *testing.T) {
	t.Parallel()
	for _, way := range askers() {
		var conns, asked atomic.Int32
		target := serveCounting(t, &conns, func(_ *net.TCPConn, conn, n int) bool {
			asked.Add(1)
			return conn == 1 && n == 1
		})
		ask := way.start(t, compile(t, HTTP{}, Env{ReuseHint: true}))
		ask(target)
		if r := ask(target); r.Failure != muster.FailReset || !r.Sent || asked.Load() != 3 || conns.Load() != 2 {
			t.Errorf("%s: %v %v after %d requests over %d connections", way.name, r.Outcome, r.Failure, asked.Load(), conns.Load())
		}
	}
}

// A connection that the server ended while it was idle is found out before anything is sent on it, and what the
// server said with it is not taken for an answer.
func TestIdleEndCostsNothing(t *testing.T) {
	t.Parallel()
	for name, goodbye := range map[string]func(*net.TCPConn){
		"close":   func(c *net.TCPConn) { c.CloseWrite() },
		"timeout": func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") },
	} {
		for _, way := range askers() {
			var conns atomic.Int32
			answered, ended := make(chan bool, 1), make(chan bool, 1)
			target := serve(t, func(c *net.TCPConn) {
				conns.Add(1)
				answerWith(okHead + "Content-Length: 2\r\n\r\nhi")(c)
				<-answered
				goodbye(c)
				ended <- true
				io.Copy(io.Discard, c)
			})
			ask := way.start(t, compile(t, HTTP{Body: "x"}, Env{ReuseHint: true}))
			for range 5 {
				if r := ask(target); r.Outcome != muster.OK {
					t.Fatalf("%s, %s: %v %v: %s", way.name, name, r.Outcome, r.Failure, r.Detail)
				}
				answered <- true
				<-ended
			}
			if conns.Load() != 5 {
				t.Errorf("%s, %s: %d connections", way.name, name, conns.Load())
			}
		}
	}
}

// TestFaultsOnKeptConnections has a connection carry an answer before it goes wrong.
func TestFaultsOnKeptConnections(t *testing.T) {
	t.Parallel()
	for _, way := range askers() {
		for _, c := range faultCases() {
			t.Run(way.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				var conns atomic.Int32
				target := serve(t, func(conn *net.TCPConn) {
					if conns.Add(1) == 1 {
						answerWith("HTTP/1.1 204 No Content\r\n\r\n")(conn)
					}
					c.handle(conn)
				})
				ask := way.start(t, compile(t, c.spec, Env{Timeout: 400 * time.Millisecond, ReuseHint: true}))
				if r := ask(target); r.Outcome != muster.OK {
					t.Fatal(r.Outcome, r.Detail)
				}
				checkFault(t, c, path{name: way.name}, ask(target))
				if n := conns.Load(); n != 1 && (n != 2 || c.fail != muster.FailReset) {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

// What follows an answer is no answer to the next request.
func TestBytesAfterAnAnswer(t *testing.T) {
	t.Parallel()
	for _, way := range askers() {
		var conns atomic.Int32
		target := serve(t, func(c *net.TCPConn) {
			conns.Add(1)
			answerWith(okHead + "Content-Length: 2\r\n\r\nhi" + "HTTP/1.1 500 Never Asked\r\nContent-Length: 0\r\n\r\n")(c)
			hang(c)
		})
		ask := way.start(t, compile(t, HTTP{}, Env{ReuseHint: true}))
		for range 3 {
			if r := ask(target); r.Outcome != muster.OK || string(r.Body) != "hi" {
				t.Errorf("%s: %v %s", way.name, r.Outcome, r.Status)
			}
		}
		if conns.Load() != 3 {
			t.Errorf("%s: %d connections", way.name, conns.Load())
		}
	}
}
