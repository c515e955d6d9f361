package dial_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func TestResolveRealServer(t *testing.T) {
	t.Parallel()
	server := unbound(t, `  local-zone: "fail.test." always_refuse
  local-zone: "xn--bcher-kva.test." static
`,
		"one.test. IN A 10.0.0.1",
		"many.test. IN A 10.0.0.9", "many.test. IN A 10.0.0.3", "many.test. IN AAAA 2001:db8::5",
		"six.test. IN AAAA 2001:db8::9", "six.test. IN AAAA 2001:db8::2",
		"under_score.test. IN A 10.0.0.4",
		"xn--bcher-kva.test. IN A 10.0.0.5",
		"rebind.test. IN A 169.254.169.254", "rebind6.test. IN AAAA 64:ff9b::a9fe:a9fe",
	)
	for _, tt := range []struct {
		host    string
		family  int
		prefer  int
		want    string
		outcome muster.Outcome
		failure muster.Failure
		reason  string
	}{
		{host: "one.test", want: "10.0.0.1:80"},
		{host: "ONE.Test.", want: "10.0.0.1:80"},
		{host: "many.test", want: "10.0.0.3:80"},
		{host: "many.test", family: 6, want: "[2001:db8::5]:80"},
		{host: "many.test", prefer: 6, want: "[2001:db8::5]:80"},
		{host: "many.test", prefer: 4, want: "10.0.0.3:80"},
		{host: "many.test", prefer: 6, family: 4, want: "10.0.0.3:80"},
		{host: "one.test", prefer: 6, want: "10.0.0.1:80"},
		{host: "none.test", prefer: 6, outcome: muster.Failed, failure: muster.FailDNS, reason: "no such host"},
		{host: "six.test", want: "[2001:db8::2]:80"},
		{host: "under_score.test", want: "10.0.0.4:80"},
		{host: "Bücher.test", want: "10.0.0.5:80"},
		{host: "10.9.8.7", want: "10.9.8.7:80"},
		{host: "[2001:db8::1]", want: "[2001:db8::1]:80"},
		{host: "::ffff:10.9.8.7", want: "10.9.8.7:80"},
		{host: "six.test", family: 4, outcome: muster.Failed, failure: muster.FailDNS, reason: "no such host"},
		{host: "one.test", family: 6, outcome: muster.Failed, failure: muster.FailDNS, reason: "no such host"},
		{host: "none.test", outcome: muster.Failed, failure: muster.FailDNS, reason: "no such host"},
		{host: "x.fail.test", outcome: muster.Failed, failure: muster.FailDNS, reason: "dns server failure"},
		{host: "rebind.test", outcome: muster.Denied, reason: "denied link-local 169.254.0.0/16"},
		{host: "rebind6.test", outcome: muster.Denied, reason: "denied link-local 169.254.0.0/16"},
		{host: "169.254.169.254", outcome: muster.Denied, reason: "denied link-local 169.254.0.0/16"},
		{host: "", outcome: muster.Invalid, reason: "invalid host"},
		{host: "a..b", outcome: muster.Invalid, reason: "invalid host"},
		{host: "a b", outcome: muster.Invalid, reason: "invalid host"},
		{host: "a\r\nb", outcome: muster.Invalid, reason: "invalid host"},
		{host: strings.Repeat("a", 64) + ".test", outcome: muster.Invalid, reason: "invalid host"},
		{host: "\xff\xfe.test", outcome: muster.Invalid, reason: "invalid host"},
	} {
		d := dial.Dialer{Resolver: &dial.Resolver{Server: server}, Family: tt.family, Prefer: tt.prefer}
		got, err := d.Resolve(t.Context(), tt.host, netip.Addr{}, 80)
		if tt.want != "" {
			if err != nil || got.String() != tt.want {
				t.Errorf("Resolve(%q, family %d) = %v, %v; want %s", tt.host, tt.family, got, err, tt.want)
			}
			continue
		}
		e, ok := errors.AsType[*dial.Error](err)
		if !ok || e.Outcome != tt.outcome || e.Failure != tt.failure || e.Reason != tt.reason {
			t.Errorf("Resolve(%q, family %d) = %v, %#v; want %v %v %q", tt.host, tt.family, got, err, tt.outcome, tt.failure, tt.reason)
		}
		if ok && tt.host != "" && e.Outcome == muster.Denied && !strings.HasPrefix(e.Detail, tt.host) {
			t.Errorf("detail %q does not name %q", e.Detail, tt.host)
		}
	}
}

// TestResolveFleet is a fleet given by names: all resolve, each once, with few sockets.
func TestResolveFleet(t *testing.T) {
	t.Parallel()
	const n = 10_000
	server := unbound(t, "", names(n)...)
	r := &dial.Resolver{Server: server}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2000 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				want := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				host := "h" + strconv.Itoa(i) + ".test"
				if got, err := r.Lookup(ctx, host, 0); err != nil || got != want {
					t.Errorf("Lookup(%s) = %v, %v; want %v", host, got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestResolveSilentServer: time runs out as a transient dns failure, for waiters as for the asker.
func TestResolveSilentServer(t *testing.T) {
	t.Parallel()
	d := dial.Dialer{Resolver: &dial.Resolver{Server: silentServer(t), Concurrency: 1}}
	var wg sync.WaitGroup
	for _, host := range []string{"a.test", "a.test", "b.test"} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := d.Resolve(ctx, host, netip.Addr{}, 80)
			e, ok := errors.AsType[*dial.Error](err)
			if !ok || e.Failure != muster.FailDNS || !e.Transient || e.Reason != "dns timeout" {
				t.Errorf("Resolve = %#v, want a transient dns timeout", err)
			}
		})
	}
	wg.Wait()
}

func TestResolveCanceled(t *testing.T) {
	t.Parallel()
	d := dial.Dialer{Resolver: &dial.Resolver{Server: silentServer(t)}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Resolve(ctx, "a.test", netip.Addr{}, 80)
	if e, ok := errors.AsType[*dial.Error](err); !ok || e.Outcome != muster.Canceled {
		t.Errorf("Resolve = %#v, want canceled", err)
	}
}

// TestLookupSharesAndKeeps counts the queries that a server sees.
func TestLookupSharesAndKeeps(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newCountingServer(t, release)
	d := dial.Dialer{Resolver: &dial.Resolver{Server: s.addr}}
	if _, ok, _ := d.ResolveCached("x.test", netip.Addr{}, 80); ok {
		t.Error("ResolveCached knows a name before it was looked up")
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := d.Resolve(t.Context(), "x.test.", netip.Addr{}, 80); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := s.queries.Load(); n != 1 {
		t.Errorf("50 lookups of one name made %d queries, want 1", n)
	}
	if ap, ok, err := d.ResolveCached("X.test.", netip.Addr{}, 81); !ok || err != nil || ap.String() != "10.0.0.1:81" {
		t.Errorf("ResolveCached = %v, %v, %v", ap, ok, err)
	}
}

func TestResolveCNAMEChain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	close(release)
	d := dial.Dialer{Resolver: &dial.Resolver{Server: newCountingServer(t, release).addr}}
	if ap, err := d.Resolve(t.Context(), "chain.test", netip.Addr{}, 80); err != nil || ap.String() != "10.0.0.1:80" {
		t.Errorf("Resolve = %v, %v", ap, err)
	}
}

// TestResolveNamesServer: the message names the server that was asked.
func TestResolveNamesServer(t *testing.T) {
	t.Parallel()
	r := &dial.Resolver{Server: silentServer(t), Timeout: 20 * time.Millisecond}
	if _, err := r.Lookup(t.Context(), "a.test.", 4); err == nil || !strings.Contains(err.Error(), r.Server) {
		t.Errorf("Lookup = %v, want the server %s named", err, r.Server)
	}
}

// TestLookupAbandoned: the first asker's cancel is not the others' failure.
func TestLookupAbandoned(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newCountingServer(t, release)
	r := &dial.Resolver{Server: s.addr}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	ended := make(chan struct{})
	wg.Go(func() {
		defer close(ended)
		_, err := r.Lookup(ctx, "x.test.", 4)
		if e, ok := errors.AsType[*dial.Error](err); !ok || e.Outcome != muster.Canceled {
			t.Errorf("Lookup of the canceled = %#v, want canceled", err)
		}
	})
	<-s.seen
	waiting := make(chan struct{}, 5)
	for range cap(waiting) {
		wg.Go(func() {
			ctx := &noticingContext{Context: t.Context(), asked: waiting}
			if a, err := r.Lookup(ctx, "x.test.", 4); err != nil || a.String() != "10.0.0.1" {
				t.Errorf("Lookup = %v, %v", a, err)
			}
		})
	}
	for range cap(waiting) {
		<-waiting
	}
	cancel()
	<-ended
	close(release)
	wg.Wait()
}

// noticingContext tells when its Done is first asked for: when its owner begins to wait.
type noticingContext struct {
	context.Context
	once  sync.Once
	asked chan<- struct{}
}

func (c *noticingContext) Done() <-chan struct{} {
	c.once.Do(func() { c.asked <- struct{}{} })
	return c.Context.Done()
}

func TestLookupBoundsMemory(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	close(release)
	s := newCountingServer(t, release)
	r := &dial.Resolver{Server: s.addr, Names: 64}
	if n := resolveAll(t, r, 500); n != 0 {
		t.Fatalf("%d failures", n)
	}
	if n := dial.CachedNames(r); n > 64 {
		t.Errorf("%d names are kept, want 64 at most", n)
	}
}

// silentServer takes queries and never answers.
func silentServer(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// countingServer answers every A query with 10.0.0.1, once release is closed.
type countingServer struct {
	addr    string
	queries atomic.Int64
	seen    chan struct{} // closed by the first query
}

func newCountingServer(t testing.TB, release <-chan struct{}) *countingServer {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &countingServer{addr: c.LocalAddr().String(), seen: make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); s.serve(c, release) }()
	t.Cleanup(func() { c.Close(); <-done })
	return s
}

func (s *countingServer) serve(c net.PacketConn, release <-chan struct{}) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		if s.queries.Add(1) == 1 {
			close(s.seen)
		}
		<-release
		var m dnsmessage.Message
		if err := m.Unpack(b[:n]); err != nil {
			panic(hex.Dump(b[:n]))
		}
		m.Response, m.Additionals = true, nil
		q := m.Questions[0]
		for _, next := range []string{"hop1.test.", "hop2.test."} {
			if q.Name.String() != "chain.test." {
				break
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: last(m.Answers, q.Name), Class: q.Class, TTL: 60},
				Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(next)},
			})
		}
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: last(m.Answers, q.Name), Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}},
			})
		}
		if out, err := m.Pack(); err == nil {
			c.WriteTo(out, from)
		}
	}
}

// last returns the name that a chain of CNAME records has come to.
func last(answers []dnsmessage.Resource, name dnsmessage.Name) dnsmessage.Name {
	for _, a := range answers {
		name = a.Body.(*dnsmessage.CNAMEResource).CNAME
	}
	return name
}
