package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultBody is the body of an address that has no other: about 200 bytes of
// JSON, different for every address.
const DefaultBody = `{"hostname":"{{hostname}}","addr":"{{addr}}","port":{{port}},"version":"{{version}}",` +
	`"health":"{{health}}","cpu":{{cpu}},"memory":{{memory}},"zone":"{{zone}}","build":"{{hex 60}}"}` + "\n"

// Body is a template of answer bodies. Between literal text it may name, in
// double braces: addr, port, hostname, version, health, cpu, memory, zone, seed,
// n (the number of this request at its address, from 1), path, method, pad N
// (N filler bytes) and hex N (N hexadecimal digits that differ by address).
// The zero value is [DefaultBody].
type Body struct {
	text  string
	parts []part
}

// part is literal text, or a name to expand with a width.
type part struct {
	name  string // "" is literal
	text  string
	width int
}

const maxPad = 1 << 20

// ParseBody reads a template; see [Body] for what it may name.
func ParseBody(s string) (Body, error) {
	b := Body{text: s}
	for rest := s; rest != ""; {
		literal, after, found := strings.Cut(rest, "{{")
		if literal != "" {
			b.parts = append(b.parts, part{text: literal})
		}
		if !found {
			break
		}
		field, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return Body{}, fmt.Errorf("body: {{%.20s is not closed by }}", after)
		}
		p, err := parseField(strings.Fields(field))
		if err != nil {
			return Body{}, fmt.Errorf("body: {{%s}}: %w", field, err)
		}
		b.parts, rest = append(b.parts, p), tail
	}
	return b, nil
}

func parseField(words []string) (part, error) {
	switch {
	case len(words) == 1:
		switch words[0] {
		case "addr", "port", "hostname", "version", "health", "cpu", "memory", "zone", "seed", "n", "path", "method":
			return part{name: words[0]}, nil
		}
	case len(words) == 2 && (words[0] == "pad" || words[0] == "hex"):
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 0 || n > maxPad {
			return part{}, fmt.Errorf("width %q is not between 0 and %d", words[1], maxPad)
		}
		return part{name: words[0], width: n}, nil
	}
	return part{}, fmt.Errorf("want addr port hostname version health cpu memory zone seed n path method, pad N or hex N")
}

// String is the template text.
func (b Body) String() string { return b.text }

// MarshalText implements [encoding.TextMarshaler].
func (b Body) MarshalText() ([]byte, error) { return []byte(b.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Body) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBody(string(text))
	return err
}

// instance is what a template is expanded for.
type instance struct {
	seed    uint64
	ep      endpoint
	n       uint64
	version string
	rq      *request
}

func (b *Body) appendTo(dst []byte, in *instance) []byte {
	for i := range b.parts {
		p := &b.parts[i]
		if p.name == "" {
			dst = append(dst, p.text...)
			continue
		}
		dst = p.expand(dst, in)
	}
	return dst
}

func (p *part) expand(dst []byte, in *instance) []byte {
	key := in.ep.key
	switch p.name {
	case "addr":
		return in.ep.addr.Addr().AppendTo(dst)
	case "port":
		return strconv.AppendUint(dst, uint64(in.ep.addr.Port()), 10)
	case "hostname":
		return appendHostname(dst, in.ep)
	case "version":
		return append(dst, in.version...)
	case "health":
		if unit(draw(in.seed, key, saltHealth)) < 0.98 {
			return append(dst, "ok"...)
		}
		return append(dst, "degraded"...)
	case "cpu":
		return appendPercent(dst, draw(in.seed, key, saltCPU))
	case "memory":
		return appendPercent(dst, draw(in.seed, key, saltMemory))
	case "zone":
		return append(dst, 'a'+byte(draw(in.seed, key, saltZone)%4))
	case "seed":
		return strconv.AppendUint(dst, in.seed, 10)
	case "n":
		return strconv.AppendUint(dst, in.n, 10)
	case "path":
		return append(dst, in.rq.path...)
	case "method":
		return append(dst, in.rq.method...)
	case "hex":
		return appendHex(dst, in.seed, key, p.width)
	}
	for range p.width { // pad
		dst = append(dst, 'x')
	}
	return dst
}

func appendHostname(dst []byte, ep endpoint) []byte {
	start := len(dst) + len("node-")
	dst = append(dst, "node-"...)
	dst = ep.addr.Addr().AppendTo(dst)
	for i := start; i < len(dst); i++ {
		if dst[i] == '.' || dst[i] == ':' {
			dst[i] = '-'
		}
	}
	return dst
}

// appendPercent writes a number from 0.0 to 99.9.
func appendPercent(dst []byte, x uint64) []byte {
	tenths := x % 1000
	dst = strconv.AppendUint(dst, tenths/10, 10)
	return append(dst, '.', '0'+byte(tenths%10))
}

func appendHex(dst []byte, seed, key uint64, n int) []byte {
	const digits = "0123456789abcdef"
	word := uint64(0)
	for i := range n {
		if i%16 == 0 {
			word = draw(seed, key, saltHex+uint64(i)<<8)
		}
		dst = append(dst, digits[word&15])
		word >>= 4
	}
	return dst
}
