package probe

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
)

// answerTo makes the answer to a query from records in zone file form.
func answerTo(t testing.TB, query []byte, edit func(m *dns.Msg), records ...string) []byte {
	t.Helper()
	var q dns.Msg
	if err := q.Unpack(query); err != nil {
		t.Errorf("the query is malformed: %v", err)
		return nil
	}
	m := new(dns.Msg).SetReply(&q)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Error(err)
			return nil
		}
		m.Answer = append(m.Answer, rr)
	}
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

// nameServer answers over UDP and TCP.
func nameServer(t testing.TB, overUDP, overTCP func(query []byte) [][]byte) muster.Target {
	t.Helper()
	target := serve(t, serveFramed(overTCP))
	datagramServerAt(t, target.ID, func(pc net.PacketConn, from net.Addr, b []byte) {
		for _, a := range overUDP(slices.Clone(b)) {
			pc.WriteTo(a, from)
		}
	})
	return target
}

func serveFramed(answers func(query []byte) [][]byte) func(*net.TCPConn) {
	return func(c *net.TCPConn) { speakFramed(c, answers) }
}

func speakFramed(c net.Conn, answers func(query []byte) [][]byte) {
	q, err := readFramed(c, func() {})
	if err != nil || answers == nil {
		return
	}
	for _, a := range answers(q) {
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	}
}

func questionName(query []byte) (string, error) {
	name, _, err := dns.UnpackDomainName(query, dnsHead)
	return name, err
}

func nothing([]byte) [][]byte { return nil }

func TestDNSAnswers(t *testing.T) {
	t.Parallel()
	long := make([]string, 200)
	for i := range long {
		long[i] = "www.example.com. 60 IN A 10.0.0." + string(rune('0'+i%10))
	}
	for _, c := range []struct {
		name    string
		spec    DNS
		records []string
		edit    func(m *dns.Msg)
		status  string
		code    int
		body    string
		fields  map[string]any
	}{
		{
			"addresses",
			DNS{Name: "www.example.com"},
			[]string{"www.example.com. 300 IN A 10.0.0.2", "www.example.com. 60 IN A 10.0.0.1"},
			nil, "NOERROR", 0,
			"www.example.com.\t300\tIN\tA\t10.0.0.2\nwww.example.com.\t60\tIN\tA\t10.0.0.1\n",
			map[string]any{"rcode": "NOERROR", "answers": 2.0, "authority": 0.0, "additional": 0.0, "aa": false, "tc": false, "ad": false, "min_ttl": 60.0, "answer": "10.0.0.1 10.0.0.2"},
		},
		{
			"alias",
			DNS{Name: "a.example", Type: "aaaa"},
			[]string{"a.example. 5 IN CNAME b.example.", "b.example. 7 IN AAAA 2001:db8::1"},
			func(m *dns.Msg) { m.Authoritative, m.AuthenticatedData = true, true }, "NOERROR", 0,
			"a.example.\t5\tIN\tCNAME\tb.example.\nb.example.\t7\tIN\tAAAA\t2001:db8::1\n",
			map[string]any{"answer": "2001:db8::1", "min_ttl": 5.0, "aa": true, "ad": true},
		},
		{"no such name", DNS{Name: "x.example"}, nil, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, "NXDOMAIN", 3, "", map[string]any{"rcode": "NXDOMAIN", "min_ttl": nil, "answer": ""}},
		{"refused", DNS{Name: "x.example"}, nil, func(m *dns.Msg) { m.Rcode, m.Question = dns.RcodeRefused, nil }, "REFUSED", 5, "", nil},
		{"serial", DNS{Name: "example", Type: "SOA"}, []string{"example. 9 IN SOA ns. root. 4294967295 1 2 3 4"}, nil, "NOERROR", 0, "example.\t9\tIN\tSOA\tns. root. 4294967295 1 2 3 4\n", map[string]any{"serial": 4294967295.0}},
		{"text", DNS{Name: "example", Type: "TXT"}, []string{`example. 9 IN TXT "a\"b" "\010"`}, nil, "NOERROR", 0, "example.\t9\tIN\tTXT\t\"a\\\"b\" \"\\010\"\n", nil},
		{"unknown type", DNS{Name: "example", Type: "TYPE65280"}, []string{`example. 9 IN TYPE65280 \# 2 abcd`}, nil, "NOERROR", 0, "example.\t9\tCLASS1\tTYPE65280\t\\# 2 abcd\n", map[string]any{"answer": `\# 2 abcd`}},
		{"chaos", DNS{Name: "version.bind", Type: "TXT", Class: "CH"}, []string{`version.bind. 0 CH TXT "1"`}, nil, "NOERROR", 0, "version.bind.\t0\tCH\tTXT\t\"1\"\n", nil},
		{"all sections", DNS{Name: "example", Sections: true}, []string{"example. 1 IN A 10.0.0.1"}, func(m *dns.Msg) {
			ns, _ := dns.NewRR("example. 2 IN NS ns.example.")
			glue, _ := dns.NewRR("ns.example. 3 IN A 10.0.0.9")
			m.Ns, m.Extra = []dns.RR{ns}, []dns.RR{glue}
		}, "NOERROR", 0, ";; ANSWER\nexample.\t1\tIN\tA\t10.0.0.1\n;; AUTHORITY\nexample.\t2\tIN\tNS\tns.example.\n;; ADDITIONAL\nns.example.\t3\tIN\tA\t10.0.0.9\n", map[string]any{"authority": 1.0, "additional": 1.0}},
		{"server's name", DNS{Name: "example", NSID: true}, nil, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e7331"}}
		}, "NOERROR", 0, "", map[string]any{"nsid": "ns1", "additional": 0.0}},
		{"extended rcode", DNS{Name: "example"}, nil, func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers }, "BADSIG", 16, "", nil},
		{"other case", DNS{Name: "example"}, []string{"eXample. 1 IN A 10.0.0.1"}, func(m *dns.Msg) { m.Question[0].Name = "EXAMPLE." }, "NOERROR", 0, "eXample.\t1\tIN\tA\t10.0.0.1\n", nil},
		{"many", DNS{Name: "www.example.com", UDPSize: 65000}, long, func(m *dns.Msg) { m.Compress = true }, "NOERROR", 0, strings.ReplaceAll(strings.Join(long, "\n"), " ", "\t") + "\n", map[string]any{"answers": 200.0}},
		{"template", DNS{Name: "{{.name}}.example"}, []string{"web1.example. 1 IN A 10.0.0.1"}, nil, "NOERROR", 0, "web1.example.\t1\tIN\tA\t10.0.0.1\n", nil},
	} {
		answers := func(q []byte) [][]byte { return [][]byte{answerTo(t, q, c.edit, c.records...)} }
		target := nameServer(t, answers, answers)
		target.Vars = map[string]string{"name": "web1"}
		ways := datagramPaths()
		for _, transport := range []string{"udp", "tcp"} {
			c.spec.Transport = transport
			p := proberOf(t, c.spec, Env{Timeout: 5 * time.Second})
			for _, way := range ways {
				r := way.probe(t.Context(), p, target)
				if r.Outcome != muster.OK || r.Status != c.status || r.Code != c.code || string(r.Body) != c.body {
					t.Errorf("%s, %s, %s: %v %q %d %q %s", c.name, transport, way.name, r.Outcome, r.Status, r.Code, r.Body, r.Detail)
				}
				for name, want := range c.fields {
					if got, ok := r.Field(name); !ok || got != want {
						t.Errorf("%s, %s, %s: field %s is %v, want %v", c.name, transport, way.name, name, got, want)
					}
				}
				if !r.Sent || r.Timings.FirstByte <= 0 || r.Timings.Total < r.Timings.FirstByte || r.Address.Port() != target.Port {
					t.Errorf("%s, %s, %s: sent %v, timings %+v", c.name, transport, way.name, r.Sent, r.Timings)
				}
			}
			ways = ways[len(ways)-1:]
		}
	}
}

func TestDNSOverTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("ns.test", time.Now().Add(time.Hour))
	target := serve(t, func(c *net.TCPConn) {
		tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"dot"}})
		speakFramed(tc, func(q []byte) [][]byte { return [][]byte{answerTo(t, q, nil, "example. 1 IN A 10.0.0.1")} })
		tc.Close()
	})
	for _, c := range []struct {
		name   string
		tls    TLS
		ok     bool
		reason string
	}{
		{"verified", TLS{CA: a.ca(), ServerName: "{{.ns}}"}, true, ""},
		{"insecure", TLS{Insecure: true}, true, ""},
		{"another name", TLS{CA: a.ca(), ServerName: "other.test"}, false, "certificate is for another name"},
		{"another authority", TLS{ServerName: "ns.test"}, false, "certificate signed by unknown authority"},
	} {
		p := proberOf(t, DNS{Name: "example", Transport: "tls", TLS: c.tls}, Env{})
		target.Vars = map[string]string{"ns": "ns.test"}
		r := p.Probe(t.Context(), target)
		if (r.Outcome == muster.OK) != c.ok || r.Reason != c.reason || !c.ok && r.Failure != muster.FailTLS || r.Timings.TLS == 0 {
			t.Errorf("%s: %v %v (%s) %s", c.name, r.Outcome, r.Failure, r.Reason, r.Detail)
		}
	}
	plain := proberOf(t, DNS{Name: "example", Transport: "tls"}, Env{})
	if r := plain.Probe(t.Context(), serve(t, func(c *net.TCPConn) { io.WriteString(c, "220 hello\r\n") })); r.Failure != muster.FailTLS || r.Reason != "peer does not speak tls" {
		t.Errorf("no TLS there: %v (%s) %s", r.Failure, r.Reason, r.Detail)
	}
}

func TestDNSValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec DNS
		want string
	}{
		{DNS{}, "name: want the name"},
		{DNS{Name: "a..b"}, "a label is empty"},
		{DNS{Name: "a b"}, "a blank"},
		{DNS{Name: strings.Repeat("x", 64)}, "63 characters"},
		{DNS{Name: strings.Repeat("x.", 200)}, "253 characters"},
		{DNS{Name: "x", Type: "FOO"}, `type "FOO"`},
		{DNS{Name: "x", Type: "TYPE0"}, `type "TYPE0"`},
		{DNS{Name: "x", Type: "AXFR"}, "no question with one answer"},
		{DNS{Name: "x", Class: "XX"}, `class "XX"`},
		{DNS{Name: "x", Port: "0"}, `port "0"`},
		{DNS{Name: "x", Transport: "quic"}, `transport "quic"`},
		{DNS{Name: "x", UDPSize: 100}, "udp_size 100"},
		{DNS{Name: "x", NoEDNS: true, DNSSEC: true}, "need EDNS"},
		{DNS{Name: "x", TLS: TLS{Insecure: true}}, "needs the transport tls"},
		{DNS{Name: "x", Tries: -1}, "tries -1"},
	} {
		if err := c.spec.Validate(); err == nil || !strings.Contains(err.Error(), c.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%+v: %v, want %s", c.spec, err, c.want)
		}
	}
	p := proberOf(t, DNS{Name: "{{.n}}"}, Env{})
	for value, reason := range map[string]string{"a..b": "invalid name", "a b": "invalid name"} {
		r := p.Probe(t.Context(), muster.Target{ID: "x", Host: "127.0.0.1", Vars: map[string]string{"n": value}})
		if r.Outcome != muster.Invalid || r.Reason != reason || r.Sent {
			t.Errorf("%q: %v (%s) %s", value, r.Outcome, r.Reason, r.Detail)
		}
	}
	if r := p.Probe(t.Context(), muster.Target{ID: "x", Host: "127.0.0.1"}); r.Reason != "missing variable n" {
		t.Errorf("no variable: %v (%s)", r.Outcome, r.Reason)
	}
}

func TestDNSQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec DNS
		want string // as miekg reads it
	}{
		{DNS{Name: "www.example.com."}, "www.example.com. A rd 1232"},
		{DNS{Name: "bücher.example", Type: "mx", NoRecurse: true}, "xn--bcher-kva.example. MX 1232"},
		{DNS{Name: "_sip._tcp.example", Type: "SRV", NoEDNS: true}, "_sip._tcp.example. SRV rd"},
		{DNS{Name: "10.1.2.3", Type: "PTR"}, "3.2.1.10.in-addr.arpa. PTR rd 1232"},
		{DNS{Name: "2001:db8::1", Type: "PTR"}, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR rd 1232"},
		{DNS{Name: ".", Type: "NS", DNSSEC: true, NoCheck: true, UDPSize: 4096}, ". NS rd cd 4096 do"},
	} {
		p := proberOf(t, c.spec, Env{}).(*dnsProber)
		q, d := p.question(nil, &muster.Target{ID: "x", Host: "127.0.0.1"})
		if d != nil {
			t.Fatal(d.err)
		}
		var m dns.Msg
		if err := m.Unpack(q); err != nil {
			t.Fatal(err)
		}
		if got := describe(&m); got != c.want {
			t.Errorf("%+v: %s, want %s", c.spec, got, c.want)
		}
	}
	p := proberOf(t, DNS{Name: "{{.n}}", Type: "MX", Transport: "tls"}, Env{}).(Previewer)
	got, err := p.Preview(&muster.Target{ID: "x", Host: "ns1", Vars: map[string]string{"n": "a"}})
	if want := "# tls ns1:853\na. IN MX, recursion"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func describe(m *dns.Msg) string {
	words := []string{m.Question[0].Name, dns.TypeToString[m.Question[0].Qtype]}
	if m.RecursionDesired {
		words = append(words, "rd")
	}
	if m.CheckingDisabled {
		words = append(words, "cd")
	}
	if o := m.IsEdns0(); o != nil {
		if words = append(words, fmtUint(o.UDPSize())); o.Do() {
			words = append(words, "do")
		}
	}
	return strings.Join(words, " ")
}
