//go:build http3

package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/musterhq/muster"
)

// serveHTTP3 starts a server on the given address.
func serveHTTP3(t *testing.T, address string, cert tls.Certificate) muster.Target {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", r.Header.Get("X-Ask"))
		fmt.Fprintf(w, "%s %s %s %s", r.Proto, r.Method, r.Host, body)
	})
	mux.Handle("/moved", http.RedirectHandler("/echo", http.StatusFound))
	mux.Handle("/down", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 100_000)) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/half", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := &http3.Server{Handler: mux, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), Logger: slog.New(slog.DiscardHandler)}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(c) })
	t.Cleanup(func() {
		s.Close()
		c.Close()
		wg.Wait()
	})
	return targetAt(c.LocalAddr())
}

func TestHTTP3(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	named, _, _ := a.issue("web.test", time.Now().Add(time.Hour))
	target, byName := serveHTTP3(t, "127.0.0.1:0", cert), serveHTTP3(t, "127.0.0.1:0", named)
	silent := targetAt(listenSilent(t))
	web := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	denied := muster.Target{Host: "169.254.169.254", Addr: netip.MustParseAddr("169.254.169.254")}
	plain := target
	plain.Scheme = "http"
	for name, c := range map[string]struct {
		spec    HTTP
		target  muster.Target
		outcome muster.Outcome
		failure muster.Failure
		reason  string
		body    string
	}{
		"get":             {HTTP{URL: "/echo"}, target, muster.OK, 0, "", "HTTP/3.0 GET " + target.ID + " "},
		"post":            {HTTP{URL: "/echo", Body: "hello"}, target, muster.OK, 0, "", "HTTP/3.0 POST " + target.ID + " hello"},
		"head":            {HTTP{URL: "/echo", Method: "HEAD"}, target, muster.OK, 0, "", ""},
		"status":          {HTTP{URL: "/none"}, target, muster.Unexpected, 0, "status 404", "404 page not found\n"},
		"redirect":        {HTTP{URL: "/moved"}, target, muster.OK, 0, "", "<a href=\"/echo\">Found</a>.\n\n"},
		"followed":        {HTTP{URL: "/moved", Follow: 3}, target, muster.OK, 0, "", "HTTP/3.0 GET " + target.ID + " "},
		"followed down":   {HTTP{URL: "/down", Follow: 3}, target, muster.Failed, muster.FailProtocol, "redirect to http", ""},
		"too large":       {HTTP{URL: "/large", BodyLimit: 1000}, target, muster.Failed, muster.FailTooLarge, "body too large", ""},
		"cut":             {HTTP{URL: "/large", BodyLimit: 3, Truncate: true}, target, muster.OK, 0, "", "xxx"},
		"other authority": {HTTP{URL: "/echo", TLS: TLS{CA: other.ca()}}, target, muster.Failed, muster.FailTLS, "certificate signed by unknown authority", ""},
		"other name":      {HTTP{URL: "/echo"}, byName, muster.Failed, muster.FailTLS, "certificate is for another name", ""},
		"its name":        {HTTP{URL: "/echo", TLS: TLS{CA: a.ca(), ServerName: "web.test"}}, byName, muster.OK, 0, "", "HTTP/3.0 GET " + byName.ID + " "},
		"insecure":        {HTTP{URL: "/echo", TLS: TLS{Insecure: true}}, byName, muster.OK, 0, "", "HTTP/3.0 GET " + byName.ID + " "},
		"hang":            {HTTP{URL: "/hang"}, target, muster.Failed, muster.FailTimeout, "timeout", ""},
		"hang in a body":  {HTTP{URL: "/half"}, target, muster.Failed, muster.FailTimeout, "timeout", ""},
		"abort":           {HTTP{URL: "/abort"}, target, muster.Failed, muster.FailReset, "stream reset", ""},
		"silence":         {HTTP{URL: "/echo"}, silent, muster.Failed, muster.FailConnectTimeout, "connect timeout", ""},
		"nobody there":    {HTTP{URL: "/echo"}, web, muster.Failed, muster.FailConnectTimeout, "connect timeout", ""},
		"denied":          {HTTP{URL: "/echo"}, denied, muster.Denied, 0, "denied link-local 169.254.0.0/16", ""},
		"plain http":      {HTTP{URL: "/echo"}, plain, muster.Invalid, 0, "invalid scheme", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.spec.HTTP3 = true
			if c.spec.TLS == (TLS{}) {
				c.spec.TLS.CA = a.ca()
			}
			env := Env{Timeout: time.Minute, ConnectTimeout: 30 * time.Second}
			if c.failure == muster.FailTimeout || c.failure == muster.FailConnectTimeout {
				env = Env{Timeout: 2 * time.Second, ConnectTimeout: time.Second}
			}
			p := compile(t, c.spec, env)
			r := p.Probe(t.Context(), c.target)
			if r.Outcome != c.outcome || r.Failure != c.failure || r.Reason != c.reason || string(r.Body) != c.body {
				t.Fatalf("%v %v (%s: %s) %q", r.Outcome, r.Failure, r.Reason, r.Detail, r.Body)
			}
			if r.Outcome.Answered() && (!r.Sent || r.Address.Port() != c.target.Port || r.Timings.Connect <= 0 || r.Timings.FirstByte <= 0) {
				t.Errorf("sent %v address %v timings %+v", r.Sent, r.Address, r.Timings)
			}
		})
	}
}

// listenSilent returns the address of a socket that nobody reads.
func listenSilent(t *testing.T) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr()
}

// TestHTTP3SharesOneSocket has many targets at once ask through one local port.
func TestHTTP3SharesOneSocket(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("web.test", time.Now().Add(time.Hour))
	p := compile(t, HTTP{URL: "/echo", HTTP3: true, TLS: TLS{CA: a.ca(), ServerName: "web.test"}, KeepHeaders: []string{"x-echo"}, Header: []Header{{Name: "X-Ask", Value: "{{.id}}"}}}, Env{})
	var wg sync.WaitGroup
	for i := range 20 {
		target := serveHTTP3(t, fmt.Sprintf("127.0.0.%d:0", i+1), cert)
		for range 2 {
			wg.Go(func() {
				r := p.Probe(t.Context(), target)
				if r.Outcome != muster.OK || len(r.Header) != 1 || r.Header[0].Value != target.ID {
					t.Errorf("%s: %v %v (%s) %v", target.ID, r.Outcome, r.Failure, r.Detail, r.Header)
				}
			})
		}
	}
	wg.Wait()
	if n := len(p.std.h3.(*quicTransport).shared); n != 1 {
		t.Errorf("%d sockets", n)
	}
}

func TestHTTP3Cancel(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	asked, gone := make(chan bool), make(chan bool)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), Logger: slog.New(slog.DiscardHandler),
		ConnContext: func(ctx context.Context, conn *quic.Conn) context.Context {
			context.AfterFunc(conn.Context(), func() { close(gone) })
			return ctx
		},
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- true; <-r.Context().Done() }),
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(c) })
	t.Cleanup(func() { s.Close(); c.Close(); wg.Wait() })
	p := compile(t, HTTP{HTTP3: true, TLS: TLS{CA: a.ca()}}, Env{Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan muster.Result)
	go func() { done <- p.Probe(ctx, targetAt(c.LocalAddr())) }()
	<-asked
	began := time.Now()
	cancel()
	if r := <-done; r.Outcome != muster.Canceled || time.Since(began) > 5*time.Second {
		t.Errorf("%v %v (%s) after %v", r.Outcome, r.Failure, r.Detail, time.Since(began))
	}
	<-gone
}
