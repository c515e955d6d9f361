package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve accepts connections until the test ends, each handled on a goroutine of its own and closed
// after it.
func serve(t testing.TB, handle func(c *net.TCPConn)) muster.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open = map[net.Conn]bool{}
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return targetAt(l.Addr())
}

func targetAt(a net.Addr) muster.Target {
	ap := netip.MustParseAddrPort(a.String())
	return muster.Target{ID: ap.String(), Host: ap.Addr().String(), Addr: ap.Addr(), Port: ap.Port()}
}

// answerWith reads a request's header and writes the reply.
func answerWith(reply string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, reply)
		}
	}
}

// hang waits until the peer goes away.
func hang(c *net.TCPConn) { io.Copy(io.Discard, c) }

func thenHang(f func(*net.TCPConn)) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		f(c)
		hang(c)
	}
}

func compile(t testing.TB, h HTTP, env Env) *httpProber {
	t.Helper()
	p, err := h.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	hp := p.(*httpProber)
	t.Cleanup(func() { hp.Close() })
	return hp
}

// path is one of the ways in which an exchange can be driven.
type path struct {
	name string
	// adapt makes the spec go this way.
	adapt func(h *HTTP)
	probe func(ctx context.Context, p *httpProber, t muster.Target) muster.Result
}

func paths() []path {
	direct := func(ctx context.Context, p *httpProber, t muster.Target) muster.Result { return p.Probe(ctx, t) }
	return append(loopPaths(), []path{
		{"goroutine", func(*HTTP) {}, direct},
		{"std", func(h *HTTP) { h.Follow = 1 }, direct},
	}...)
}

type faultCase struct {
	name   string
	handle func(*net.TCPConn)
	spec   HTTP
	want   muster.Outcome
	fail   muster.Failure
	reason string // of the paths with our own codec
}

const okHead = "HTTP/1.1 200 OK\r\n"

func faultCases() []faultCase {
	drip := func(c *net.TCPConn) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, okHead+"Content-Length: 100000\r\n\r\n")
		for range tick.C {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}
	endless := func(head string) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			http.ReadRequest(bufio.NewReader(c))
			for s := head; ; s = strings.Repeat("x", 8192) {
				if _, err := io.WriteString(c, s); err != nil {
					return
				}
			}
		}
	}
	reset := func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		c.SetLinger(0)
	}
	resetInBody := func(c *net.TCPConn) {
		answerWith(okHead + "Content-Length: 10\r\n\r\nabc")(c)
		c.SetLinger(0)
	}
	return []faultCase{
		{"ok", answerWith(okHead + "Content-Length: 2\r\n\r\nhi"), HTTP{}, muster.OK, 0, ""},
		{"ok then silent", thenHang(answerWith(okHead + "Content-Length: 2\r\n\r\nhi")), HTTP{}, muster.OK, 0, ""},
		{"ok chunked", answerWith(okHead + "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"), HTTP{}, muster.OK, 0, ""},
		{"ok until close", answerWith(okHead + "\r\nhi"), HTTP{}, muster.OK, 0, ""},
		{"401 is an answer", answerWith("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), HTTP{}, muster.Unexpected, 0, "status 401"},
		{"503", answerWith("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), HTTP{}, muster.Unexpected, 0, "status 503"},
		{"reset", reset, HTTP{}, muster.Failed, muster.FailReset, "connection reset"},
		{"reset inside the body", resetInBody, HTTP{}, muster.Failed, muster.FailReset, ""},
		{"hang", hang, HTTP{}, muster.Failed, muster.FailTimeout, "timeout"},
		{"hang after header", thenHang(answerWith(okHead + "Content-Length: 5\r\n\r\n")), HTTP{}, muster.Failed, muster.FailTimeout, "timeout"},
		{"hang inside header", thenHang(answerWith(okHead + "X: y")), HTTP{}, muster.Failed, muster.FailTimeout, "timeout"},
		{"drip", drip, HTTP{}, muster.Failed, muster.FailTimeout, "timeout"},
		{"garbage", answerWith("\x00\x01garbage"), HTTP{}, muster.Failed, muster.FailProtocol, "malformed status line"},
		{"another protocol", thenHang(answerWith("SSH-2.0-OpenSSH_9.2\r\n")), HTTP{}, muster.Failed, muster.FailProtocol, "malformed status line"},
		{"oversized", answerWith(okHead + "Content-Length: 2000\r\n\r\n" + strings.Repeat("x", 2000)), HTTP{BodyLimit: 1000}, muster.Failed, muster.FailTooLarge, "body too large"},
		{"oversized, cut", answerWith(okHead + "Content-Length: 2000\r\n\r\n" + strings.Repeat("x", 2000)), HTTP{BodyLimit: 1000, Truncate: true}, muster.OK, 0, ""},
		{"endless", endless(okHead + "\r\n"), HTTP{}, muster.Failed, muster.FailTooLarge, "body too large"},
		{"endless header", endless(okHead + "X: "), HTTP{}, muster.Failed, muster.FailTooLarge, "header too large"},
		{"close early", answerWith(okHead + "Content-Length: 10\r\n\r\nabc"), HTTP{}, muster.Failed, muster.FailProtocol, "body cut short"},
		{"close inside a chunk", answerWith(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), HTTP{}, muster.Failed, muster.FailProtocol, "body cut short"},
		{"close before", answerWith(""), HTTP{}, muster.Failed, muster.FailReset, "closed without an answer"},
		{"close inside header", answerWith(okHead + "X: y\r\n"), HTTP{}, muster.Failed, muster.FailReset, "closed inside the header"},
		{"conflicting lengths", answerWith(okHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), HTTP{}, muster.Failed, muster.FailProtocol, "conflicting framing"},
		{"two codings", answerWith(okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), HTTP{}, muster.Failed, muster.FailProtocol, "malformed Transfer-Encoding"},
		{"head", answerWith(okHead + "Content-Length: 10\r\n\r\n"), HTTP{Method: "HEAD"}, muster.OK, 0, ""},
		{"no content", thenHang(answerWith("HTTP/1.1 204 No Content\r\n\r\n")), HTTP{}, muster.OK, 0, ""},
		{"continue first", answerWith("HTTP/1.1 100 Continue\r\n\r\n" + okHead + "Content-Length: 2\r\n\r\nhi"), HTTP{}, muster.OK, 0, ""},
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, way := range paths() {
		for _, c := range faultCases() {
			t.Run(way.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				target := serve(t, c.handle)
				spec := c.spec
				way.adapt(&spec)
				p := compile(t, spec, Env{Timeout: 400 * time.Millisecond})
				r := way.probe(t.Context(), p, target)
				checkFault(t, c, way, r)
			})
		}
	}
}

func checkFault(t *testing.T, c faultCase, way path, r muster.Result) {
	t.Helper()
	if r.Outcome != c.want || r.Failure != c.fail {
		t.Fatalf("%v %v (%s: %s), want %v %v", r.Outcome, r.Failure, r.Reason, r.Detail, c.want, c.fail)
	}
	if way.name != "std" && c.reason != "" && r.Reason != c.reason {
		t.Errorf("reason %q, want %q", r.Reason, c.reason)
	}
	if r.Timings.Total <= 0 || r.Timings.Total > 5*time.Second || r.Started.IsZero() || !r.Address.IsValid() || !r.Sent {
		t.Errorf("timings %+v started %v address %v sent %v", r.Timings, r.Started, r.Address, r.Sent)
	}
	if r.Outcome == muster.OK && strings.HasPrefix(c.name, "ok") && (string(r.Body) != "hi" || r.Status != "200 OK" || r.Code != 200 || cap(r.Body) != len(r.Body)) {
		t.Errorf("status %q code %d body %q", r.Status, r.Code, r.Body)
	}
	if c.spec.Truncate && (!r.Truncated || len(r.Body) != 1000) {
		t.Errorf("truncated %v, %d bytes", r.Truncated, len(r.Body))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := targetAt(l.Addr())
	l.Close()
	for _, way := range paths() {
		spec := HTTP{}
		way.adapt(&spec)
		r := way.probe(t.Context(), compile(t, spec, Env{}), target)
		if r.Failure != muster.FailRefused || r.Sent || !r.Transient {
			t.Errorf("%s: %v %v sent %v: %s", way.name, r.Outcome, r.Failure, r.Sent, r.Detail)
		}
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("169.254.169.254")
	for _, way := range paths() {
		spec := HTTP{}
		way.adapt(&spec)
		r := way.probe(t.Context(), compile(t, spec, Env{}), muster.Target{Host: addr.String(), Addr: addr})
		if r.Outcome != muster.Denied || r.Sent {
			t.Errorf("%s: %v %s", way.name, r.Outcome, r.Reason)
		}
	}
}

func TestCancelClosesTheSocket(t *testing.T) {
	t.Parallel()
	for _, way := range paths() {
		asked, gone := make(chan bool, 1), make(chan bool, 1)
		target := serve(t, func(c *net.TCPConn) {
			http.ReadRequest(bufio.NewReader(c))
			asked <- true
			io.Copy(io.Discard, c)
			gone <- true
		})
		ctx, cancel := context.WithCancel(t.Context())
		spec := HTTP{}
		way.adapt(&spec)
		p := compile(t, spec, Env{Timeout: time.Minute})
		done := make(chan muster.Result)
		go func() { done <- way.probe(ctx, p, target) }()
		<-asked
		canceled := time.Now()
		cancel()
		if r := <-done; r.Outcome != muster.Canceled || !r.Sent {
			t.Errorf("%s: %v %v: %s", way.name, r.Outcome, r.Failure, r.Detail)
		}
		if took := time.Since(canceled); took > time.Second {
			t.Errorf("%s: cancel took %v", way.name, took)
		}
		<-gone
	}
}
