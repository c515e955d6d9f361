package probe

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func serveHTTP(t testing.TB, h http.HandlerFunc) muster.Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return targetAt(s.Listener.Addr())
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "other auth=%q", r.Header.Get("Authorization"))
	})
	target := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a":
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
			http.Redirect(w, r, "/b", http.StatusFound)
		case "/b":
			c, _ := r.Cookie("seen")
			fmt.Fprintf(w, "b %v %s", c, r.Method)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "/other":
			http.Redirect(w, r, "http://localhost:"+other.ID[strings.LastIndexByte(other.ID, ':')+1:], http.StatusFound)
		case "/keep":
			http.Redirect(w, r, "/echo", http.StatusTemporaryRedirect)
		case "/echo":
			io.Copy(w, r.Body)
		}
	})
	ask := func(h HTTP) muster.Result {
		return compile(t, h, Env{Secret: testSecrets, Dialer: &dial.Dialer{Family: 4}}).Probe(t.Context(), target)
	}
	if r := ask(HTTP{URL: "/a"}); r.Code != 302 || r.Outcome != muster.OK {
		t.Errorf("off by default: %d %v %s", r.Code, r.Outcome, r.Detail)
	}
	if r := ask(HTTP{URL: "/a", Follow: 1}); string(r.Body) != "b seen=1 GET" {
		t.Errorf("followed with cookies: %q %s", r.Body, r.Detail)
	}
	if r := ask(HTTP{URL: "/loop", Follow: 3}); r.Reason != "too many redirects" || r.Failure != muster.FailProtocol {
		t.Errorf("a loop: %v %q", r.Outcome, r.Reason)
	}
	if r := ask(HTTP{URL: "/metadata", Follow: 3}); r.Outcome != muster.Denied {
		t.Errorf("the policy holds at every hop: %v %s", r.Outcome, r.Detail)
	}
	if r := ask(HTTP{URL: "/other", Follow: 3, Bearer: "env:TOKEN"}); string(r.Body) != `other auth=""` {
		t.Errorf("credentials stay with their host: %q %s", r.Body, r.Detail)
	}
	if r := ask(HTTP{URL: "/keep", Follow: 3, Body: "payload"}); string(r.Body) != "payload" {
		t.Errorf("307 keeps the body: %q %s", r.Body, r.Detail)
	}
}

// serveProxy is an HTTP proxy that counts what it forwards.
func serveProxy(t testing.TB, login string, n *atomic.Int32) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if login != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(login)) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		n.Add(1)
		if r.Method != http.MethodConnect {
			r.RequestURI = ""
			r.Header.Del("Proxy-Authorization")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			w.WriteHeader(resp.StatusCode)
			io.Copy(w, resp.Body)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, rw, _ := w.(http.Hijacker).Hijack()
		defer from.Close()
		done := make(chan bool)
		go func() { io.Copy(to, rw); to.(*net.TCPConn).CloseWrite(); done <- true }()
		io.Copy(from, to)
		from.Close()
		<-done
	}))
	t.Cleanup(func() {
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL
}

func TestProxy(t *testing.T) {
	t.Parallel()
	target := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi "+r.Host) })
	var n atomic.Int32
	proxy := serveProxy(t, "u:s3cret", &n)
	r := compile(t, HTTP{Proxy: proxy, ProxyUser: "u", ProxyPassword: "env:PW"}, Env{Secret: testSecrets}).Probe(t.Context(), target)
	if r.Outcome != muster.OK || string(r.Body) != "hi "+target.ID || n.Load() != 1 {
		t.Errorf("%v %s %q, %d through the proxy", r.Outcome, r.Detail, r.Body, n.Load())
	}
	if r := compile(t, HTTP{Proxy: proxy}, Env{}).Probe(t.Context(), target); r.Code != 407 {
		t.Errorf("without login: %d %s", r.Code, r.Detail)
	}
	meta := muster.Target{Host: "169.254.169.254", Addr: netip.MustParseAddr("169.254.169.254")}
	if r := compile(t, HTTP{Proxy: proxy}, Env{}).Probe(t.Context(), meta); r.Outcome != muster.Denied {
		t.Errorf("a literal target behind a proxy: %v", r.Outcome)
	}
	a := newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	secure := serveTLS(t, serverConfig(cert))
	r = compile(t, HTTP{Proxy: proxy, ProxyUser: "u", ProxyPassword: "env:PW", TLS: TLS{CA: a.ca()}}, Env{Secret: testSecrets}).Probe(t.Context(), secure)
	if r.Outcome != muster.OK || string(r.Body) != "HTTP/1.1  " || n.Load() != 2 {
		t.Errorf("tunnel: %v %s %q", r.Outcome, r.Detail, r.Body)
	}
}

func TestPhaseTimeouts(t *testing.T) {
	t.Parallel()
	silent := serve(t, hang)
	inBody := serve(t, thenHang(answerWith(okHead+"Content-Length: 5\r\n\r\nab")))
	for _, way := range paths() {
		for _, c := range []struct {
			spec   HTTP
			target muster.Target
		}{
			{HTTP{HeaderTimeout: muster.Duration(100 * time.Millisecond)}, silent},
			{HTTP{BodyTimeout: muster.Duration(100 * time.Millisecond)}, inBody},
		} {
			way.adapt(&c.spec)
			r := way.probe(t.Context(), compile(t, c.spec, Env{Timeout: time.Minute}), c.target)
			if r.Failure != muster.FailTimeout || r.Timings.Total > 10*time.Second || r.Timings.Total < 100*time.Millisecond {
				t.Errorf("%s: %v %v after %v: %s", way.name, r.Outcome, r.Failure, r.Timings.Total, r.Detail)
			}
		}
		// A phase's bound must not end a phase that has passed.
		slow := HTTP{HeaderTimeout: muster.Duration(time.Millisecond * 500)}
		way.adapt(&slow)
		trickle := serve(t, func(c *net.TCPConn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, okHead+"Content-Length: 40\r\n\r\n")
			tick := time.NewTicker(25 * time.Millisecond)
			defer tick.Stop()
			for range 40 {
				<-tick.C
				io.WriteString(c, "x")
			}
		})
		if r := way.probe(t.Context(), compile(t, slow, Env{Timeout: time.Minute}), trickle); r.Outcome != muster.OK {
			t.Errorf("%s: a slow body under a header bound: %v %v %s", way.name, r.Outcome, r.Failure, r.Detail)
		}
	}
}

func TestInternationalHost(t *testing.T) {
	t.Parallel()
	p := compile(t, HTTP{}, Env{Timeout: 2 * time.Second, Dialer: &dial.Dialer{Policy: dial.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}}})
	r := p.Probe(t.Context(), muster.Target{Host: "müster.invalid"})
	if r.Outcome == muster.OK || r.Outcome == muster.Invalid {
		t.Errorf("%v %v %s", r.Outcome, r.Failure, r.Detail)
	}
}

// serveRefusing speaks HTTP/2 without TLS and refuses each stream as not processed, which net/http answers by
// sending the request again.
func serveRefusing(t testing.TB, streams *atomic.Int32) muster.Target {
	return serve(t, func(c *net.TCPConn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.HeadersFrame); ok {
				streams.Add(1)
				f.WriteRSTStream(h.StreamID, http2.ErrCodeRefusedStream)
			}
		}
	})
}

func TestNeverIsNotReplayed(t *testing.T) {
	t.Parallel()
	for repeat, want := range map[muster.Repeat]int32{muster.RepeatNever: 1, muster.RepeatSafe: 2} {
		var streams atomic.Int32
		target := serveRefusing(t, &streams)
		r := compile(t, HTTP{HTTP2: HTTP2Always}, Env{Repeat: repeat}).Probe(t.Context(), target)
		if streams.Load() != want || r.Failure != muster.FailReset || !r.Sent {
			t.Errorf("%s: %d streams, %v %v %s", repeat, streams.Load(), r.Outcome, r.Failure, r.Detail)
		}
	}
}
