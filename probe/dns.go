package probe

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
)

// DNS is one question to each target, which is a name server. Name, Port and the server name of TLS are templates.
//
// Any answer is ok, NXDOMAIN and SERVFAIL included: its rcode is the status ("NXDOMAIN", 3), and the body
// is its records. Silence is no_reply, and no_reply as well when what came was not from the server's address and
// port; when all that the server sent was no answer to this question, that is protocol.
type DNS struct {
	// Name is what is asked for; non-ASCII names are converted. An IP address with type PTR stands for its
	// name below in-addr.arpa or ip6.arpa.
	Name string `json:"name"`
	// Type is a record type such as "MX" or "TYPE65280"; "" is A.
	Type string `json:"type,omitempty"`
	// Class is "IN", "CH", "HS", "ANY" or "CLASS…"; "" is IN.
	Class string `json:"class,omitempty"`

	// Port is for targets that state none; "" is 53, over TLS 853.
	Port string `json:"port,omitempty"`
	// Transport is "udp", "tcp" or "tls" (DNS over TLS); "" is udp.
	Transport string `json:"transport,omitempty"`
	// NoTCP takes a truncated answer for the answer, instead of asking again over TCP.
	NoTCP bool `json:"no_tcp,omitempty"`
	// TLS is how DNS over TLS is spoken. The zero value verifies against the system's roots.
	TLS TLS `json:"tls,omitzero"`

	// NoRecurse does not ask the server to ask others.
	NoRecurse bool `json:"no_recurse,omitempty"`
	// NoEDNS sends a question of 1987, whose answer has at most 512 bytes over UDP.
	NoEDNS bool `json:"no_edns,omitempty"`
	// UDPSize is the largest answer over UDP that is asked for; 0 is 1232, which is never fragmented.
	UDPSize int `json:"udp_size,omitempty"`
	// DNSSEC asks for signatures (DO).
	DNSSEC bool `json:"dnssec,omitempty"`
	// NoCheck has a validating resolver answer without validation (CD).
	NoCheck bool `json:"no_check,omitempty"`
	// NSID asks the server for its own name, the field nsid.
	NSID bool `json:"nsid,omitempty"`

	// Sections puts the authority and additional records into the body as well, each section behind
	// a line such as ";; AUTHORITY".
	Sections bool `json:"sections,omitempty"`

	// Tries is how often the question is sent over UDP as long as there is no answer; 0 is 3.
	Tries int `json:"tries,omitempty"`
	// Wait is how long the first try waits; 0 spreads all tries over the attempt's timeout.
	Wait muster.Duration `json:"wait,omitempty"`
	// Backoff is the factor by which the wait grows from one try to the next; 0 is 2.
	Backoff float64 `json:"backoff,omitempty"`
}

// The transports of [DNS].
const (
	transportUDP = "udp"
	transportTCP = "tcp"
	transportTLS = "tls"
)

const (
	// defaultUDPSize fits the smallest packet that IPv6 carries whole (the DNS flag day of 2020).
	defaultUDPSize = 1232
	minUDPSize     = 512
)

// Safe reports that a question only looks.
func (d DNS) Safe() bool { return true }

// Traits of DNS: the fields rcode, the counts of answers, authority and additional records, the flags aa, tc, ra and ad,
// min_ttl of the answers, answer (the data of the records of the type that was asked for, sorted and joined by blanks),
// and of some questions alone serial (type SOA) and nsid.
func (d DNS) Traits() Traits {
	fields := []string{"rcode", "answers", "authority", "additional", "aa", "tc", "ra", "ad", "min_ttl", "answer"}
	if t, _ := rrType(d.Type); t == dns.TypeSOA {
		fields = append(fields, "serial")
	}
	if d.NSID {
		fields = append(fields, "nsid")
	}
	return Traits{Fields: fields, SharedSockets: d.Transport == "" || d.Transport == transportUDP}
}

// Validate reports every problem at once.
func (d DNS) Validate() error {
	var p problems
	p.addIf(d.Name == "", "name: want the name to ask for, or . for the root")
	if !isTemplate(d.Name) && d.Name != "" {
		_, err := d.question(nil, d.Name)
		p.add(err)
	}
	t, ok := rrType(d.Type)
	p.addIf(!ok, "type %q: want a record type such as A, MX or TYPE65280", d.Type)
	p.addIf(slices.Contains([]uint16{dns.TypeAXFR, dns.TypeIXFR, dns.TypeOPT}, t), "type %s: it is no question with one answer", d.Type)
	_, ok = rrClass(d.Class)
	p.addIf(!ok, "class %q: want IN, CH, HS, ANY or CLASS…", d.Class)
	p.addPort(d.Port)
	p.addIf(!slices.Contains([]string{"", transportUDP, transportTCP, transportTLS}, d.Transport), "transport %q: want udp, tcp or tls", d.Transport)
	p.addIf(d.UDPSize != 0 && (d.UDPSize < minUDPSize || d.UDPSize > 65535), "udp_size %d: want %d to 65535 bytes", d.UDPSize, minUDPSize)
	p.addIf(d.NoEDNS && (d.DNSSEC || d.NSID || d.UDPSize != 0), "no_edns: dnssec, nsid and udp_size need EDNS")
	p.addPatience(d.Tries, d.Wait, d.Backoff)
	p.addIf(d.TLS != TLS{} && d.Transport != transportTLS, "tls: it needs the transport tls")
	p.addIf(d.TLS.Key != "" && d.TLS.Cert == "", "tls key: it needs its certificate (tls cert)")
	p.addIf(!slices.Contains(tlsVersionNames, d.TLS.MinVersion), "tls min_version %q: want 1.0, 1.1, 1.2 or 1.3", d.TLS.MinVersion)
	return errors.Join(p...)
}

// rrType returns the number of a record type.
func rrType(s string) (uint16, bool) {
	if s == "" {
		return dns.TypeA, true
	}
	s = strings.ToUpper(s)
	if s == "ANY" {
		return dns.TypeANY, true
	}
	if t, ok := dns.StringToType[s]; ok {
		return t, t != 0
	}
	return genericNumber(s, "TYPE")
}

// rrClass returns the number of a class.
func rrClass(s string) (uint16, bool) {
	if s == "" {
		return dns.ClassINET, true
	}
	s = strings.ToUpper(s)
	if c, ok := dns.StringToClass[s]; ok {
		return c, true
	}
	return genericNumber(s, "CLASS")
}

// genericNumber reads TYPE123 and CLASS123 (RFC 3597).
func genericNumber(s, prefix string) (uint16, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), ok && err == nil && n != 0
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (d DNS) Prober(env Env) (muster.Prober, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return compileDNS(d, env.withDefaults(true))
}

func (d *DNS) tries() int {
	if d.Tries == 0 {
		return safeTries
	}
	return d.Tries
}

func (d *DNS) patience(timeout time.Duration) patience {
	return newPatience(d.tries(), time.Duration(d.Wait), d.Backoff, timeout)
}

func (d *DNS) usualPort() uint16 {
	if d.Transport == transportTLS {
		return 853
	}
	return 53
}

// ParseRcode reads the name of a response code such as "NXDOMAIN", in any case, or "RCODE" and its number.
func ParseRcode(s string) (name string, err error) {
	name = strings.ToUpper(strings.TrimSpace(s))
	if _, ok := dns.StringToRcode[name]; ok {
		return name, nil
	}
	digits, ok := strings.CutPrefix(name, "RCODE")
	if n, err := strconv.ParseUint(digits, 10, 12); ok && err == nil {
		return rcodeText(int(n)), nil
	}
	return "", muster.Errorf(muster.KindInvalid, "rcode %q: want a name such as NOERROR, NXDOMAIN, SERVFAIL or REFUSED", s)
}
