package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// host is one host: a canonical name, or an address with its text.
type host struct {
	name string
	addr netip.Addr // zero for a name
}

func addrHost(a netip.Addr) host {
	a = a.Unmap()
	return host{a.String(), a}
}

// parseHost reads an address or a name and makes it canonical: lower case, no final dot.
func parseHost(s string) (host, error) {
	if a, ok := parseAddr(s); ok {
		if i := strings.IndexFunc(a.Zone(), func(r rune) bool { return r >= utf8.RuneSelf || r != '.' && !nameRune(r) }); i >= 0 {
			return host{}, fmt.Errorf("address %q: %q cannot be in a zone", s, a.Zone()[i:])
		}
		return addrHost(a), nil
	}
	name := cleanName(s)
	if err := checkName(name); err != nil {
		return host{}, err
	}
	return host{name: name}, nil
}

func cleanName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// checkName reports what is wrong with a host name, which may hold readable
// (not yet encoded) international labels.
func checkName(s string) error {
	if s == "" {
		return errors.New("the host is missing")
	}
	if len(s) > 253 {
		return fmt.Errorf("host name of %d bytes: at most 253 are possible", len(s))
	}
	numeric := true
	for label := range strings.SplitSeq(s, ".") {
		if err := checkLabel(label); err != nil {
			return fmt.Errorf("host name %q: %w", s, err)
		}
		numeric = numeric && isDigits(label)
	}
	if numeric {
		return fmt.Errorf("host %q is neither a name nor an IPv4 address such as 10.0.0.1", s)
	}
	if from, to, ok := strings.Cut(s, "-"); ok && isDigits(to) {
		if _, err := netip.ParseAddr(from); err == nil {
			return fmt.Errorf("%q: write a range as %s[%s-%s] or with two whole addresses", s,
				from[:strings.LastIndexByte(from, '.')+1], from[strings.LastIndexByte(from, '.')+1:], to)
		}
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("empty between two dots")
	case len(label) > 63:
		return errors.New("more than 63 bytes between two dots")
	case label[0] == '-':
		return errors.New("a part begins with a hyphen")
	}
	for _, r := range label {
		if !nameRune(r) {
			return fmt.Errorf("%q cannot be in it", r)
		}
	}
	return nil
}

func nameRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || 'A' <= r && r <= 'Z'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r))
}

// appendShape appends the host's shape and returns its numbers.
func (h host) appendShape(dst []byte) ([]byte, coords) {
	var c coords
	switch {
	case h.addr.Is4():
		for i, o := range h.addr.As4() {
			c[i] = uint64(o)
		}
		return append(dst, shapeIPv4...), c
	case h.addr.Is6() && h.addr.Zone() == "":
		b := h.addr.As16()
		c[0], c[1] = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
		return append(dst, shapeIPv6...), c
	}
	n := 0
	for i := 0; i < len(h.name); {
		end := i
		for end < len(h.name) && isDigit(h.name[end]) {
			end++
		}
		switch {
		case end == i:
			dst = append(dst, h.name[i])
			i++
			continue
		case end-i <= maxDigits && n < maxDims:
			c[n] = digitKey(h.name[i:end])
			dst = append(dst, hole...)
			n++
		default:
			dst = append(dst, h.name[i:end]...)
		}
		i = end
	}
	return dst, c
}
