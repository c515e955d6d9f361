package probe

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/musterhq/muster"
)

func compileWSSpec(t testing.TB, w WebSocket, env Env) *wsProber {
	t.Helper()
	p, err := w.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*wsProber)
}

// serveWS upgrades every request but those to /no, and hands the connection over.
func serveWS(t testing.TB, cfg *tls.Config, handle func(ctx context.Context, c *websocket.Conn, req *http.Request)) muster.Target {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/no":
			http.Error(w, "go away", http.StatusForbidden)
			return
		case "/moved":
			http.Redirect(w, req, "/", http.StatusFound)
			return
		}
		c, err := websocket.Accept(w, req, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		handle(req.Context(), c, req)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if cfg != nil {
		s.TLS = cfg
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return targetAt(s.Listener.Addr())
}

// echoWS greets, then echoes messages; "bye" has it close.
func echoWS(ctx context.Context, c *websocket.Conn, req *http.Request) {
	c.Write(ctx, websocket.MessageText, []byte("hello "+req.Host+" at "+req.URL.String()+" "+req.Header.Get("X-Word")))
	for {
		kind, m, err := c.Read(ctx)
		switch {
		case err != nil:
			return
		case string(m) == "bye":
			c.Close(4001, "as you wish")
			return
		}
		if err := c.Write(ctx, kind, append([]byte("re: "), m...)); err != nil {
			return
		}
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	idle := muster.Duration(300 * time.Millisecond)
	target := serveWS(t, nil, echoWS)
	for _, c := range []struct {
		name   string
		spec   WebSocket
		want   string // outcome, failure, reason, status
		body   string
		fields map[string]any
	}{
		{"upgrade alone", WebSocket{}, "ok,,,101 Switching Protocols", "", nil},
		{"the greeting", WebSocket{URL: "/chat?x=1", Count: 1, Header: []Header{{Name: "X-Word", Value: "{{.host}}"}}}, "ok,,,101 Switching Protocols", "hello HOST at /chat?x=1 127.0.0.1\n", map[string]any{"messages": 1.0}},
		{"dialogue", WebSocket{Steps: []Step{{Expect: `^(?P<word>\w+) `}, {Send: "${word} again"}, {Expect: "^re: hello"}}}, "ok,,,101 Switching Protocols", "hello HOST at / \nre: hello again\n", map[string]any{"word": "hello", "messages": 2.0}},
		{"messages passed over", WebSocket{Steps: []Step{{Send: "a"}, {Send: "b"}, {Expect: "^re: b$"}}}, "ok,,,101 Switching Protocols", "hello HOST at / \nre: a\nre: b\n", nil},
		{"binary", WebSocket{Steps: []Step{{ExpectBytes: "hello"}, {Hex: "00 ff"}, {ExpectBytes: `\x00\xff`}}}, "ok,,,101 Switching Protocols", "hello HOST at / \nre: \x00\xff\n", nil},
		{"subprotocol", WebSocket{Subprotocols: []string{"other", "chat"}}, "ok,,,101 Switching Protocols", "", map[string]any{"subprotocol": "chat"}},
		{"wrong message", WebSocket{Steps: []Step{{Expect: "^goodbye"}}, IdleTimeout: idle}, "unexpected,,expect ^goodbye,101 Switching Protocols", "hello HOST at / \n", map[string]any{"messages": 1.0}},
		{"closed in between", WebSocket{Steps: []Step{{Expect: "hello"}, {Send: "bye"}, {Expect: "x"}}}, "unexpected,,closed with 4001,101 Switching Protocols", "hello HOST at / \n", map[string]any{"close_code": 4001.0}},
		{"no message", WebSocket{Count: 2}, "failed,timeout,timeout,", "", nil},
		{"too much", WebSocket{Count: 1, BodyLimit: 5}, "failed,too_large,body too large,", "", nil},
		{"cut", WebSocket{Count: 1, BodyLimit: 5, Truncate: true}, "ok,,,101 Switching Protocols", "hello", nil},
		{"refused upgrade", WebSocket{URL: "/no"}, "unexpected,,status 403,403 Forbidden", "go away\n", nil},
		{"redirect", WebSocket{URL: "/moved"}, "unexpected,,status 302,302 Found", "<a href=\"/\">Found</a>.\n\n", nil},
		{"wss against plain", WebSocket{Scheme: "wss"}, "failed,tls,peer does not speak tls,", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := compileWSSpec(t, c.spec, Env{Timeout: 1500 * time.Millisecond}).Probe(t.Context(), target)
			body := strings.ReplaceAll(string(r.Body), target.ID, "HOST")
			if got := fmt.Sprintf("%v,%v,%s,%s", r.Outcome, r.Failure, r.Reason, r.Status); got != c.want || body != c.body {
				t.Errorf("%s %q (%s)\nwant %s %q", got, body, r.Detail, c.want, c.body)
			}
			for name, want := range c.fields {
				if got := certField(t, &r, name); got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			if r.Timings.Total <= 0 || r.Timings.Total > 5*time.Second {
				t.Errorf("timings %+v", r.Timings)
			}
		})
	}
}

func TestWebSocketTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("ws.test", time.Now().Add(time.Hour))
	target := serveWS(t, &tls.Config{Certificates: []tls.Certificate{cert}}, echoWS)
	spec := WebSocket{Scheme: "wss", Count: 1, TLS: TLS{CA: a.ca(), ServerName: "ws.test"}}
	if r := compileWSSpec(t, spec, Env{}).Probe(t.Context(), target); r.Outcome != muster.OK || r.Timings.TLS <= 0 {
		t.Errorf("%v %s", r.Outcome, r.Detail)
	}
	spec.TLS = TLS{}
	if r := compileWSSpec(t, spec, Env{}).Probe(t.Context(), target); r.Failure != muster.FailTLS {
		t.Errorf("an unknown authority: %v %v", r.Outcome, r.Failure)
	}
	target.Scheme = "wss"
	if r := compileWSSpec(t, WebSocket{TLS: TLS{Insecure: true}}, Env{}).Probe(t.Context(), target); r.Outcome != muster.OK {
		t.Errorf("a wss target: %v %s", r.Outcome, r.Detail)
	}
}

func TestWebSocketFaults(t *testing.T) {
	t.Parallel()
	upgraded := func(then func(*net.TCPConn)) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
			then(c)
		}
	}
	for _, c := range []struct {
		name   string
		handle func(*net.TCPConn)
		want   string
	}{
		{"hang", hang, "failed,timeout,timeout"},
		{"hang once upgraded", upgraded(hang), "failed,timeout,timeout"},
		{"close", func(*net.TCPConn) {}, "failed,reset,"},
		{"close once upgraded", upgraded(func(*net.TCPConn) {}), "failed,reset,"},
		{"reset once upgraded", upgraded(func(c *net.TCPConn) { c.SetLinger(0) }), "failed,reset,connection reset"},
		{"garbage", says("garbage\r\n\r\n"), "failed,protocol,"},
		{"garbage once upgraded", upgraded(says("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), "failed,protocol,"},
		{"wrong key", answerWith("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"), "failed,protocol,malformed upgrade"},
		{"trickle once upgraded", upgraded(trickle("\x81\x7e\x7f", 20*time.Millisecond)), "failed,timeout,timeout"},
		{"flood once upgraded", upgraded(func(c *net.TCPConn) {
			io.WriteString(c, "\x81\x7f\x00\x00\x00\x00\x7f\xff\xff\xff")
			flood(c)
		}), "failed,too_large,body too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := compileWSSpec(t, WebSocket{Count: 1}, Env{Timeout: 400 * time.Millisecond}).Probe(t.Context(), serve(t, c.handle))
			if got := fmt.Sprintf("%v,%v,%s", r.Outcome, r.Failure, r.Reason); !strings.HasPrefix(got, c.want) || r.Timings.Total > 3*time.Second {
				t.Errorf("%s (%s) after %v, want %s", got, r.Detail, r.Timings.Total, c.want)
			}
		})
	}
}

func TestWebSocketCancel(t *testing.T) {
	t.Parallel()
	arrived := make(chan bool, 1)
	target := serveWS(t, nil, func(ctx context.Context, c *websocket.Conn, _ *http.Request) {
		arrived <- true
		c.Read(ctx)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	began := time.Now()
	r := compileWSSpec(t, WebSocket{Count: 1}, Env{Timeout: time.Minute}).Probe(ctx, target)
	if r.Outcome != muster.Canceled || time.Since(began) > 5*time.Second {
		t.Errorf("%v %s after %v", r.Outcome, r.Detail, time.Since(began))
	}
}

func TestWebSocketValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec WebSocket
		want string
	}{
		{WebSocket{URL: "ftp://x"}, "want a path such as /status or a URL"},
		{WebSocket{Scheme: "https"}, "want ws or wss"},
		{WebSocket{Header: []Header{{Name: "Sec-WebSocket-Key", Value: "x"}}}, "the upgrade sets it itself"},
		{WebSocket{Subprotocols: []string{"a b"}}, "want a word such as mqtt"},
		{WebSocket{Steps: []Step{{StartTLS: true}}}, "have no place between messages"},
		{WebSocket{Steps: []Step{{Expect: "("}}}, "missing closing )"},
		{WebSocket{Count: -2}, "want a number of messages"},
	} {
		if err := c.spec.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.spec, err, c.want)
		}
	}
	p := compileWSSpec(t, WebSocket{URL: "/a/{{.x}}", Steps: []Step{{Send: "hi {{.x}}"}}}, Env{})
	if err := p.Check(&muster.Target{ID: "a", Host: "a"}); err == nil {
		t.Error("a missing variable passes the check")
	}
	got, err := p.Preview(&muster.Target{ID: "a", Host: "a", Scheme: "wss", Vars: map[string]string{"x": "1"}})
	if err != nil || !strings.HasPrefix(got, "# wss://a/a/1\nGET /a/1 HTTP/1.1\nHost: a\n") || !strings.HasSuffix(got, "send     \"hi 1\"\n") {
		t.Errorf("preview %q, %v", got, err)
	}
}
