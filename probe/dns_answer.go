package probe

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
)

// mismatch says why a message is no answer to a query; "" when it is one. It looks at the header and the question
// alone, and allocates nothing.
func mismatch(query, b []byte) string {
	switch {
	case len(b) < dnsHead:
		return "shorter than a header"
	case b[2]&0x80 == 0:
		return "a question, not an answer"
	case b[0] != query[0] || b[1] != query[1]:
		return "another id"
	case b[2]&0x78 != 0:
		return "another operation"
	}
	if n := binary.BigEndian.Uint16(b[4:]); n != 1 {
		// Servers that refuse to read a question need not repeat it.
		if n == 0 && refusal(b[3]&0xf) && b[6]|b[7] == 0 {
			return ""
		}
		return "another number of questions"
	}
	asked := query[dnsHead : dnsHead+questionLen(query[dnsHead:])]
	if len(b) < dnsHead+len(asked) || !equalQuestion(asked, b[dnsHead:dnsHead+len(asked)]) {
		return "another question"
	}
	return ""
}

// refusal reports whether the rcode is one with which a server declines to answer.
func refusal(rcode byte) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeServerFailure || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeRefused
}

// questionLen returns the length of the question of a query of ours, whose names are whole.
func questionLen(b []byte) int {
	i := 0
	for b[i] != 0 {
		i += int(b[i]) + 1
	}
	return i + 1 + 4
}

// equalQuestion compares questions of equal length, the letters of names in either case.
func equalQuestion(a, b []byte) bool {
	name := len(a) - 4
	for i := range name {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return bytes.Equal(a[name:], b[name:])
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// truncated reports whether an answer is cut.
func truncated(b []byte) bool { return b[2]&(flagTC>>8) != 0 }

// readAnswer fills r from an answer to the query, and reports whether it is well-formed. What a cut answer still holds
// is taken.
func (p *dnsProber) readAnswer(b []byte, r *muster.Result) bool {
	a := dnsAnswer{p: p, flags: binary.BigEndian.Uint16(b[2:]), code: int(b[3] & 0xf)}
	if !a.read(b) && !truncated(b) {
		return false
	}
	r.Outcome, r.Failure, r.Reason, r.Detail = muster.OK, muster.NoFailure, "", ""
	r.Code, r.Status = a.code, rcodeText(a.code)
	r.Transient = a.code == dns.RcodeServerFailure
	if !p.env.DiscardBody {
		r.Body = a.body(p.spec.Sections)
	}
	r.Fields = a.fields()
	return true
}

// dnsAnswer is what is read out of an answer.
type dnsAnswer struct {
	p        *dnsProber
	flags    uint16
	code     int         // with the bits that EDNS adds
	sections [3][]dns.RR // answers, authority, additional without EDNS
	nsid     any
}

// read reads the records and reports whether they are all there.
func (a *dnsAnswer) read(b []byte) bool {
	off := dnsHead
	for range binary.BigEndian.Uint16(b[4:]) {
		var err error
		if _, off, err = dns.UnpackDomainName(b, off); err != nil {
			return false
		}
		off += 4 // type and class
	}
	for i := range a.sections {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			if off >= len(b) {
				return false
			}
			rr, next, err := dns.UnpackRR(b, off)
			if err != nil {
				return false
			}
			off = next
			if opt, ok := rr.(*dns.OPT); ok && i == 2 {
				a.edns(opt)
				continue
			}
			a.sections[i] = append(a.sections[i], rr)
		}
	}
	return true
}

func (a *dnsAnswer) edns(opt *dns.OPT) {
	a.code |= opt.ExtendedRcode()
	for _, o := range opt.Option {
		if id, ok := o.(*dns.EDNS0_NSID); ok {
			a.nsid = nsidText(id.Nsid)
		}
	}
}

// nsidText shows a server's name, which is any bytes, as text when it is.
func nsidText(digits string) string {
	b, err := appendHex(nil, digits)
	if err != nil {
		return digits
	}
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return digits
		}
	}
	return string(b)
}

// body is the answers, one per line, or all sections.
func (a *dnsAnswer) body(sections bool) []byte {
	if !sections {
		return appendRecords(nil, "", a.sections[0])
	}
	var b []byte
	for i, heading := range [...]string{"ANSWER", "AUTHORITY", "ADDITIONAL"} {
		b = appendRecords(b, heading, a.sections[i])
	}
	return b
}

func appendRecords(dst []byte, heading string, rrs []dns.RR) []byte {
	if len(rrs) > 0 && heading != "" {
		dst = append(append(append(dst, ";; "...), heading...), '\n')
	}
	for _, rr := range rrs {
		dst = append(append(dst, rr.String()...), '\n')
	}
	return dst
}

func (a *dnsAnswer) fields() []muster.Field {
	flag := func(bit uint16) bool { return a.flags&bit != 0 }
	fs := []muster.Field{
		{Name: "rcode", Value: rcodeText(a.code)},
		{Name: "answers", Value: float64(len(a.sections[0]))},
		{Name: "authority", Value: float64(len(a.sections[1]))},
		{Name: "additional", Value: float64(len(a.sections[2]))},
		{Name: "aa", Value: flag(flagAA)},
		{Name: "tc", Value: flag(flagTC)},
		{Name: "ra", Value: flag(flagRA)},
		{Name: "ad", Value: flag(flagAD)},
		{Name: "min_ttl", Value: a.minTTL()},
		{Name: "answer", Value: a.data()},
	}
	if a.p.rrtype == dns.TypeSOA {
		fs = append(fs, muster.Field{Name: "serial", Value: a.serial()})
	}
	if a.p.spec.NSID {
		fs = append(fs, muster.Field{Name: "nsid", Value: a.nsid})
	}
	return fs
}

// minTTL is how long the whole answer may be kept; nil when it is empty.
func (a *dnsAnswer) minTTL() any {
	answers := a.sections[0]
	if len(answers) == 0 {
		return nil
	}
	ttl := answers[0].Header().Ttl
	for _, rr := range answers[1:] {
		ttl = min(ttl, rr.Header().Ttl)
	}
	return float64(ttl)
}

// data is the data of the records that were asked for, in an order that does not depend on the server's.
func (a *dnsAnswer) data() string {
	var texts []string
	for _, rr := range a.sections[0] {
		if t := rr.Header().Rrtype; t == a.p.rrtype || a.p.rrtype == dns.TypeANY {
			texts = append(texts, dataOf(rr.String()))
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// dataOf cuts name, TTL, class and type off the text of a record.
func dataOf(text string) string {
	for range 4 {
		_, text, _ = strings.Cut(text, "\t")
	}
	return text
}

// serial is the version of a zone; nil when there is none.
func (a *dnsAnswer) serial() any {
	for _, rr := range a.sections[0] {
		if soa, ok := rr.(*dns.SOA); ok {
			return float64(soa.Serial)
		}
	}
	return nil
}

func rcodeText(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(code)
}
