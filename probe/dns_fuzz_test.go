package probe

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
)

func fmtUint(n uint16) string { return strconv.Itoa(int(n)) }

// FuzzDNSName holds names against what package dns makes of them.
func FuzzDNSName(f *testing.F) {
	for _, s := range []string{".", "a", "a.", "www.example.com", `a\.b.c`, `\065\255`, "a..b", ".a", `a\`, `\25`, "_x.*", "ä.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := appendName(nil, s)
		if err != nil {
			if len(got) != 0 || muster.KindOf(err) != muster.KindInvalid {
				t.Fatalf("%q: %x, %v", s, got, err)
			}
			return
		}
		text, n, err := dns.UnpackDomainName(got, 0)
		if err != nil || n != len(got) {
			t.Fatalf("%q: %x is no name: %v", s, got, err)
		}
		again, err := appendName(nil, text)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q: %x reads as %s, which is %x, %v", s, got, text, again, err)
		}
		if !isASCII(s) {
			return
		}
		want := make([]byte, 300)
		if n, err = dns.PackDomainName(dns.Fqdn(s), want, 0, nil, false); err == nil && !bytes.Equal(want[:n], got) {
			t.Fatalf("%q: %x, want %x", s, got, want[:n])
		}
	})
}

// wholeCount is how many records a message says that it has.
func wholeCount(b []byte) int {
	return int(binary.BigEndian.Uint16(b[6:])) + int(binary.BigEndian.Uint16(b[8:])) + int(binary.BigEndian.Uint16(b[10:]))
}

// FuzzDNSAnswer looks at any message as an answer to a query.
func FuzzDNSAnswer(f *testing.F) {
	m := new(dns.Msg).SetQuestion("example.", dns.TypeA)
	m.Id, m.Response = 7, true
	for _, text := range []string{"example. 1 IN A 10.0.0.1", "example. 1 IN TXT x", "example. 1 IN SOA a. b. 1 2 3 4 5", "example. 1 IN MX 5 a."} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	f.Add([]byte{})
	prober, err := DNS{Name: "example", NSID: true, Sections: true}.Prober(Env{})
	if err != nil {
		f.Fatal(err)
	}
	p := prober.(*dnsProber)
	query := bytes.Clone(p.query)
	query[1] = 7
	f.Fuzz(func(t *testing.T, b []byte) {
		if mismatch(query, b) != "" {
			return
		}
		var ref dns.Msg
		err := ref.Unpack(b)
		var r muster.Result
		ok := p.readAnswer(b, &r)
		whole := err == nil && wholeCount(b) == len(ref.Answer)+len(ref.Ns)+len(ref.Extra)
		if ok != (whole || truncated(b)) {
			t.Fatalf("%v; package dns: %v, whole %v", ok, err, whole)
		}
		if whole && (r.Status != rcodeText(ref.Rcode) || ref.Id != 7 || !ref.Response) {
			t.Fatalf("%s, want %s", r.Status, rcodeText(ref.Rcode))
		}
	})
}
