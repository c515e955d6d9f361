//go:build linux

package sim

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// lookUp asks an address a question.
func lookUp(t testing.TB, s *Server, network, name string, qtype uint16) (*dns.Msg, error) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	client := dns.Client{Net: network, Timeout: 20 * time.Second}
	if mix := s.fleet.Mix.String(); strings.HasPrefix(mix, "hang") || mix == "conflict*1" { // which are waited for in vain
		client.Timeout = 20 * time.Millisecond
	}
	answer, _, err := client.Exchange(m, at(s, DNS, "127.5.6.7"))
	return answer, err
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, DNS, "ok")
	for _, network := range []string{"udp", "tcp"} {
		for qtype, want := range map[uint16]string{
			dns.TypeA: "\tA\t10.", dns.TypeAAAA: "\tAAAA\tfd00::", dns.TypeTXT: `"node-127-5-6-7"`,
			dns.TypeNS: "\tNS\tns1.Www.example.", dns.TypePTR: "\tPTR\thost.Www.example.",
			dns.TypeMX: "\tMX\t10 mail.Www.example.", dns.TypeSRV: "\tSRV\t0 0 8080 host.Www.example.",
			dns.TypeSOA: "\tSOA\tns1.Www.example. hostmaster.Www.example. 2026", dns.TypeANY: `"node-127-5-6-7"`,
		} {
			m, err := lookUp(t, s, network, "Www.example", qtype)
			if err != nil || m.Rcode != dns.RcodeSuccess || !m.Authoritative || m.Truncated || m.IsEdns0() == nil ||
				!strings.Contains(fmt.Sprint(m.Answer), want) {
				t.Errorf("%s: want %s in %v (%v)", network, want, m, err)
			}
		}
		for name, rcode := range map[string]int{"nxdomain.example": dns.RcodeNameError, "empty.example": dns.RcodeSuccess} {
			m, err := lookUp(t, s, network, name, dns.TypeA)
			if err != nil || m.Rcode != rcode || len(m.Answer) != 0 || len(m.Ns) != 1 {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		if m, err := lookUp(t, s, network, "www.example", dns.TypeCAA); err != nil || len(m.Answer) != 0 || m.Rcode != 0 {
			t.Errorf("a type that no name has: %v, %v", m, err)
		}
	}
	one, _ := lookUp(t, s, "udp", "www.EXAMPLE", dns.TypeA)
	two, _ := lookUp(t, s, "udp", "www.example", dns.TypeA)
	three, _ := lookUp(t, s, "udp", "www2.example", dns.TypeA)
	if a, b := one.Answer[0].(*dns.A), two.Answer[0].(*dns.A); !a.A.Equal(b.A) {
		t.Errorf("%v and %v have one name", a, b)
	}
	if a, b := two.Answer[0].(*dns.A), three.Answer[0].(*dns.A); a.A.Equal(b.A) {
		t.Errorf("%v and %v have two names", a, b)
	}
}

func TestDNSBehaviours(t *testing.T) {
	t.Parallel()
	rcode := func(want int) func(*dns.Msg, error) bool {
		return func(m *dns.Msg, err error) bool { return err == nil && m.Rcode == want }
	}
	good := func(m *dns.Msg, err error) bool { return err == nil && m.Rcode == 0 && len(m.Answer) == 1 }
	failed := func(_ *dns.Msg, err error) bool { return err != nil }
	timeout := func(_ *dns.Msg, err error) bool {
		var ne net.Error
		return errors.As(err, &ne) && ne.Timeout()
	}
	cases := map[string]func(*dns.Msg, error) bool{
		"udp ok": good, "tcp ok": good, "tcp drip:1ms": good, "tcp once": good, "tcp chunked": good, "udp slow:5ms": good, "udp endless": good,
		"udp status:5":      rcode(dns.RcodeRefused),
		"tcp status:3":      rcode(dns.RcodeNameError),
		"udp status:503":    rcode(dns.RcodeServerFailure),
		"tcp warmup:1":      rcode(dns.RcodeServerFailure),
		"udp chunked":       func(m *dns.Msg, err error) bool { return err == nil && m.Truncated && len(m.Answer) == 0 },
		"udp oversized:9k":  func(m *dns.Msg, err error) bool { return err == nil && m.Truncated },
		"tcp oversized:9k":  func(m *dns.Msg, err error) bool { return err == nil && m.Len() > 9<<10 && !m.Truncated },
		"tcp oversized:1M":  func(m *dns.Msg, err error) bool { return err == nil && m.Len() > 60<<10 },
		"udp oversized:500": func(m *dns.Msg, err error) bool { return err == nil && len(m.Answer) == 3 },
		"udp redirect": func(m *dns.Msg, err error) bool {
			return err == nil && len(m.Answer) == 0 && len(m.Ns) == 2 && !m.Authoritative
		},
		"udp version:3": func(m *dns.Msg, err error) bool {
			return err == nil && strings.Contains(m.String(), `"node-127-5-6-7 3"`)
		},
		"tcp conflict:id":       func(_ *dns.Msg, err error) bool { return errors.Is(err, dns.ErrId) },
		"udp conflict:question": func(m *dns.Msg, err error) bool { return err == nil && m.Question[0].Name == "vww.example." },
		"udp conflict":          timeout,
		"udp garbage":           failed, "udp close-early": failed, "tcp close-early": failed, "tcp garbage": failed, "tcp reset": failed,
		"tcp reset:body": failed, "tcp close-before": failed, "tcp reset:accept": failed,
		"udp hang": timeout, "tcp hang": timeout, "tcp hang-body": timeout, "udp hang-body": timeout, "tcp hang:accept": timeout,
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network, behaviour, _ := strings.Cut(name, " ")
			m, err := lookUp(t, serviceOf(t, DNS, behaviour), network, "www.example", dns.TypeTXT)
			if !want(m, err) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

func TestDNSRefused(t *testing.T) {
	t.Parallel()
	if _, err := lookUp(t, serviceOf(t, DNS, "reset"), "udp", "www.example", dns.TypeA); !errors.Is(err, syscall.ECONNREFUSED) {
		if syscall.Geteuid() == 0 {
			t.Errorf("error %v, want connection refused", err)
		}
	}
}

// What is no question is answered with the code for that, or not at all.
func TestNotAQuestion(t *testing.T) {
	t.Parallel()
	good, err := new(dns.Msg).SetQuestion("www.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(at int, b ...byte) []byte {
		m := append([]byte{}, good...)
		copy(m[at:], b)
		return m
	}
	for name, tc := range map[string]struct {
		message []byte
		rcode   int
	}{
		"an answer":      {edit(2, 0x80), -1},
		"short":          {good[:11], -1},
		"a notification": {edit(2, 0x20), notImp},
		"two questions":  {edit(4, 0, 2), formErr},
		"cut":            {good[:len(good)-1], formErr},
		"compressed":     {edit(12, 0xc0, 0), formErr},
		"good":           {good, 0},
	} {
		q, known := parseQuery(tc.message)
		if known != (tc.rcode >= 0) || known && q.rcode != tc.rcode {
			t.Errorf("%s: %+v, %v", name, q, known)
		}
	}
}

func TestAnotherQuestion(t *testing.T) {
	t.Parallel()
	b, err := ParseBehaviour("conflict:question")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := compile(&Fleet{Mix: Mix{{b, 1}}}, nil, &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"www.example.", "."} {
		asked := new(dns.Msg).SetQuestion(name, dns.TypeA)
		message, err := asked.Pack()
		if err != nil {
			t.Fatal(err)
		}
		ep, got := newEndpoint(addrOf(0x7f0506070035)), dns.Msg{}
		v := sc.dnsPacket(&scratch{}, &ep, message, 1)
		if err := got.Unpack(v.out); err != nil || got.Question[0] == asked.Question[0] || got.Id != asked.Id {
			t.Errorf("%v is answered with %v, %v", asked.Question, got.Question, err)
		}
	}
}

// FuzzDNS holds what is answered against a codec of its own.
func FuzzDNS(f *testing.F) {
	m := new(dns.Msg).SetQuestion("www.example.", dns.TypeTXT)
	plain, _ := m.Pack()
	m.SetEdns0(4096, true)
	extended, _ := m.Pack()
	f.Add(plain)
	f.Add(extended)
	f.Add([]byte{0, 1, 2})
	sc, err := compile(&Fleet{}, nil, &ledger{})
	if err != nil {
		f.Fatal(err)
	}
	ep := newEndpoint(addrOf(0x7f0506070035))
	f.Fuzz(func(t *testing.T, message []byte) {
		v := sc.dnsPacket(&scratch{}, &ep, message, 1)
		if v.count == 0 || len(message) > 4096 {
			return
		}
		var got dns.Msg
		if err := got.Unpack(v.out); err != nil {
			t.Fatalf("%x is answered with %x: %v", message, v.out, err)
		}
		var asked dns.Msg
		if asked.Unpack(message) == nil && got.Rcode == dns.RcodeSuccess && asked.Question[0] != got.Question[0] {
			t.Errorf("%v is answered with %v", asked.Question, got.Question)
		}
		stream := parser{service: DNS}
		for _, b := range framed(message) {
			if _, done, _ := stream.feed([]byte{b}); done && string(stream.rq.line) != string(message) {
				t.Errorf("%x was read as %x", message, stream.rq.line)
			}
		}
	})
}

func BenchmarkDNS(b *testing.B) {
	message, err := new(dns.Msg).SetQuestion("www.example.", dns.TypeTXT).Pack()
	if err != nil {
		b.Fatal(err)
	}
	sc, err := compile(&Fleet{}, nil, &ledger{})
	if err != nil {
		b.Fatal(err)
	}
	ep, w := newEndpoint(addrOf(0x7f0506070035)), &scratch{}
	for b.Loop() {
		sc.dnsPacket(w, &ep, message, 1)
	}
}
