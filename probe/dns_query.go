package probe

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// The parts of a DNS message that are looked at in place (RFC 1035, 4.1.1).
const (
	dnsHead = 12

	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagRA = 1 << 7
	flagAD = 1 << 5
	flagCD = 1 << 4
)

// dnsProber is a compiled [DNS]. It is immutable but for its pool.
type dnsProber struct {
	env      Env
	spec     DNS
	rrtype   uint16
	class    uint16
	place    placement
	name     *vars.Template // nil when the query is the same for every target
	query    []byte         // with id 0
	tls      *tls.Config
	sni      *vars.Template
	patience patience
}

func compileDNS(d DNS, env Env) (*dnsProber, error) {
	p := &dnsProber{env: env, spec: d, patience: d.patience(env.Timeout), place: placement{kind: "dns", usual: d.usualPort()}}
	p.rrtype, _ = rrType(d.Type)
	p.class, _ = rrClass(d.Class)
	parser := vars.Parser{Secret: env.Secret}
	var errs []error
	parse := func(name, text string) *vars.Template {
		if text == "" {
			return nil
		}
		t, err := parser.Parse(name, text)
		errs = append(errs, err)
		return t
	}
	p.name, p.place.port, p.sni = parse("name", d.Name), parse("port", d.Port), parse("tls server_name", d.TLS.ServerName)
	config, err := clientTLS(d.TLS, func(name, ref string) muster.Secret {
		if env.Secret == nil {
			errs = append(errs, muster.Errorf(muster.KindInvalid, "%s %s: secrets are not available here", name, ref))
			return muster.Secret{}
		}
		s, err := env.Secret(ref)
		errs = append(errs, err)
		return s
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	p.tls = config
	p.tls.NextProtos = []string{"dot"}
	if p.name.Names() == nil {
		if p.query, err = p.appendQuery(nil, &muster.Target{}); err != nil {
			return nil, err
		}
		p.name = nil
	}
	return p, nil
}

// appendQuery appends the query for t, with id 0.
func (p *dnsProber) appendQuery(dst []byte, t *muster.Target) ([]byte, error) {
	if p.name == nil && p.query != nil {
		return append(dst, p.query...), nil
	}
	name, err := p.name.Expand(t)
	if err != nil {
		return dst, err
	}
	head := [dnsHead]byte{5: 1} // one question
	flags := uint16(0)
	if !p.spec.NoRecurse {
		flags |= flagRD
	}
	if p.spec.NoCheck {
		flags |= flagCD
	}
	binary.BigEndian.PutUint16(head[2:], flags)
	if !p.spec.NoEDNS {
		head[11] = 1
	}
	n := len(dst)
	dst, err = p.spec.question(append(dst, head[:]...), name)
	if err != nil {
		return dst[:n], err
	}
	dst = binary.BigEndian.AppendUint16(dst, p.rrtype)
	dst = binary.BigEndian.AppendUint16(dst, p.class)
	if p.spec.NoEDNS {
		return dst, nil
	}
	return p.spec.appendOPT(dst), nil
}

// appendOPT appends the record of EDNS (RFC 6891).
func (d *DNS) appendOPT(dst []byte) []byte {
	size := d.UDPSize
	if size == 0 {
		size = defaultUDPSize
	}
	dst = append(dst, 0, 0, byte(dns.TypeOPT), byte(size>>8), byte(size), 0, 0)
	flags := byte(0)
	if d.DNSSEC {
		flags = 0x80
	}
	dst = append(dst, flags, 0)
	if !d.NSID {
		return append(dst, 0, 0)
	}
	return append(dst, 0, 4, 0, dns.EDNS0NSID, 0, 0)
}

// newID puts a fresh id into a query.
func newID(query []byte) { binary.BigEndian.PutUint16(query, uint16(rand.Uint32())) }

// question appends the name as it is asked for.
func (d *DNS) question(dst []byte, name string) ([]byte, error) {
	if t, _ := rrType(d.Type); t == dns.TypePTR {
		if a, err := netip.ParseAddr(name); err == nil {
			if name, err = dns.ReverseAddr(a.Unmap().WithZone("").String()); err != nil {
				return dst, muster.Errorf(muster.KindInvalid, "name %s: %w", name, err)
			}
		}
	}
	return appendName(dst, name)
}

const (
	maxWireName = 255
	maxLabel    = 63
)

// idnaNames converts names as people write them; underscores stay, which services and keys need.
var idnaNames = idna.New(idna.MapForLookup(), idna.StrictDomainName(false))

// appendName appends a name as it stands in messages. Labels may hold the escapes of zone files: \. and \DDD.
func appendName(dst []byte, name string) ([]byte, error) {
	n := len(dst)
	bad := func(format string, args ...any) ([]byte, error) {
		return dst[:n], muster.Errorf(muster.KindInvalid, "name %q: %s", strings.ToValidUTF8(name[:min(len(name), 2*maxQuote)], "?"), fmt.Sprintf(format, args...))
	}
	if name == "." {
		return append(dst, 0), nil
	}
	if !isASCII(name) {
		ascii, err := idnaNames.ToASCII(name)
		if err != nil || !utf8.ValidString(name) {
			return bad("it is no domain name")
		}
		name = ascii
	}
	label := len(dst)
	dst = append(dst, 0)
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.':
			size := len(dst) - label - 1
			if size == 0 {
				return bad("a label is empty")
			}
			dst[label] = byte(size)
			label = len(dst)
			dst = append(dst, 0)
			continue
		case c == '\\':
			var width int
			if c, width = zoneEscape(name[i+1:]); width == 0 {
				return bad(`want \. or \DDD after the backslash`)
			}
			i += width
		case c <= ' ' || c == 0x7f:
			return bad("a blank or control character in it")
		}
		if dst = append(dst, c); len(dst)-label-1 > maxLabel {
			return bad("a label has at most 63 characters")
		}
	}
	if size := len(dst) - label - 1; size > 0 {
		dst[label] = byte(size)
		dst = append(dst, 0)
	} else if label == n {
		return bad("it is empty")
	}
	if len(dst)-n > maxWireName {
		return bad("a name has at most 253 characters")
	}
	return dst, nil
}

// zoneEscape reads what stands behind a backslash: three digits, or any other character. A width of 0 is neither.
func zoneEscape(s string) (c byte, width int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1
	}
	if len(s) < 3 || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0, 0
	}
	v := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}
