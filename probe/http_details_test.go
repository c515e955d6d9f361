package probe

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/musterhq/muster"
)

// detailed starts a server of redirects, compressed and large bodies.
func detailed(t *testing.T, start func(*httptest.Server)) muster.Target {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/moved", http.RedirectHandler("/again", http.StatusFound))
	mux.Handle("/again", http.RedirectHandler("/large", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 100_000)) })
	mux.HandleFunc("/br", func(w http.ResponseWriter, _ *http.Request) {
		b := brotli.NewWriter(w)
		io.WriteString(b, "squeezed")
		b.Close()
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		w.Write(bytes.Repeat([]byte("x"), 50_000))
		panic(http.ErrAbortHandler)
	})
	s := httptest.NewUnstartedServer(mux)
	start(s)
	t.Cleanup(s.Close)
	return targetAt(s.Listener.Addr())
}

func TestHTTPDetails(t *testing.T) {
	t.Parallel()
	h2 := func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }
	for _, test := range []struct {
		name  string
		start func(*httptest.Server)
		spec  HTTP
		want  map[string]any
	}{
		{"plain", (*httptest.Server).Start, HTTP{URL: "/large"}, map[string]any{"http.version": "HTTP/1.1", "http.tls": false, "http.redirects": 0.0}},
		{"redirects", (*httptest.Server).Start, HTTP{URL: "/moved", Follow: 3}, map[string]any{"http.version": "HTTP/1.1", "http.redirects": 2.0}},
		{
			"http/2", h2,
			HTTP{URL: "/moved", Scheme: "https", Follow: 3, HTTP2: HTTP2Auto, TLS: TLS{Insecure: true}},
			map[string]any{"http.version": "HTTP/2.0", "http.tls": true, "http.redirects": 2.0},
		},
	} {
		test.spec.Details = true
		p := compile(t, test.spec, Env{})
		r := p.Probe(t.Context(), detailed(t, test.start))
		for name, want := range test.want {
			if got, _ := r.Field(name); got != want {
				t.Errorf("%s: %s is %v, want %v (%v %s)", test.name, name, got, want, r.Outcome, r.Detail)
			}
		}
	}
}

// TestDrain: what is cut counts only when all of it came.
func TestDrain(t *testing.T) {
	t.Parallel()
	target := detailed(t, (*httptest.Server).Start)
	for url, want := range map[string]muster.Outcome{"/large": muster.OK, "/cut": muster.Failed} {
		r := compile(t, HTTP{URL: url, BodyLimit: 10, Truncate: true, Drain: true}, Env{}).Probe(t.Context(), target)
		if r.Outcome != want || want == muster.OK && (string(r.Body) != "xxxxxxxxxx" || !r.Truncated) {
			t.Errorf("%s: %v %q %v (%s)", url, r.Outcome, r.Body, r.Truncated, r.Detail)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	target := detailed(t, (*httptest.Server).Start)
	if r := compile(t, HTTP{URL: "/br", Decode: "br"}, Env{}).Probe(t.Context(), target); string(r.Body) != "squeezed" {
		t.Errorf("br: %v %q %s", r.Outcome, r.Body, r.Detail)
	}
	for _, decode := range []string{"gzip", "br", "deflate"} {
		r := compile(t, HTTP{URL: "/large", Decode: decode}, Env{}).Probe(t.Context(), target)
		if r.Failure != muster.FailProtocol || r.Reason != "malformed content encoding" {
			t.Errorf("%s of what is none: %v %v %s", decode, r.Outcome, r.Failure, r.Reason)
		}
	}
	// A bomb ends at the limit.
	r := compile(t, HTTP{URL: "/br", Decode: "br", BodyLimit: 4}, Env{}).Probe(t.Context(), target)
	if r.Failure != muster.FailTooLarge {
		t.Errorf("beyond the limit: %v %v %s", r.Outcome, r.Failure, r.Reason)
	}
}

// TestProxyHeader sends header fields with CONNECT, and spares the proxy what it need not carry.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 8)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				asked <- req.Method + " " + req.Host + " " + req.Header.Get("X-Pass")
			}
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		}
	}()
	spec := HTTP{Proxy: "http://" + l.Addr().String(), Scheme: "https", ProxyHeader: []Header{{Name: "X-Pass", Value: `{{secret "env:PASS"}}`}}, NoProxy: []string{"spared.test", "10.0.0.0/8"}}
	env := Env{Secret: func(string) (muster.Secret, error) { return muster.NewSecret("please"), nil }}
	p := compile(t, spec, env)
	p.Probe(t.Context(), muster.Target{Host: "carried.test", Port: 443})
	if got := <-asked; got != "CONNECT carried.test:443 please" {
		t.Errorf("the proxy was asked %q", got)
	}
	p.Probe(t.Context(), muster.Target{Host: "spared.test", Port: 443})
	select {
	case got := <-asked:
		t.Errorf("the proxy was asked %q", got)
	default:
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	target := detailed(t, func(s *httptest.Server) { s.StartTLS() })
	spec := HTTP{URL: "/br", Scheme: "https", TLS: TLS{Insecure: true, MaxVersion: "1.1"}}
	if r := compile(t, spec, Env{}).Probe(t.Context(), target); r.Failure != muster.FailTLS {
		t.Errorf("TLS 1.1 at most: %v %v %s", r.Outcome, r.Failure, r.Detail)
	}
	spec.TLS.MaxVersion = "1.2"
	if r := compile(t, spec, Env{}).Probe(t.Context(), target); r.Outcome != muster.OK {
		t.Errorf("TLS 1.2 at most: %v %v %s", r.Outcome, r.Failure, r.Detail)
	}
	spec.TLS.MinVersion = "1.3"
	if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), "it is above max_version") {
		t.Errorf("1.3 at least, 1.2 at most: %v", err)
	}
}
