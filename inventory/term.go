package inventory

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// address is a term taken apart, before its host is looked at.
type address struct {
	form     form
	host     string // a name, a pattern, an address, a prefix, or two addresses with a hyphen
	hostAt   int    // offset of host in the term
	bare     bool   // host is an address that stood in brackets
	ports    string // "", a port, or a bracket of ports
	portsAt  int
	wildcard bool // host has * or ?
}

// parseTerm reads one term that is not a group, and yields its items: one for each port.
func parseTerm(text string) (items []item, a address, err error) {
	if a, err = splitTerm(text); err != nil || a.wildcard {
		return nil, a, err
	}
	items, err = a.items()
	return items, a, err
}

// items returns one item for each port of the address.
func (a address) items() ([]item, error) {
	var it item
	var err error
	if it.host, it.grid, err = a.parseHost(); err != nil {
		return nil, behind(a.hostAt, err)
	}
	it.form = a.form
	items, err := it.onPorts(a.ports)
	return items, behind(a.portsAt, err)
}

func (it item) onPorts(ports string) ([]item, error) {
	if !strings.HasPrefix(ports, "[") {
		if ports != "" {
			p, err := parsePort(ports)
			if err != nil {
				return nil, err
			}
			it.form.port = p
		} else if it.form.scheme != "" {
			it.form.port = defaultPort(it.form.scheme)
		}
		return []item{it}, nil
	}
	keys, err := parseBracket(strings.Trim(ports, "[]"))
	if err != nil {
		return nil, behind(1, err)
	}
	if keys.n > 1<<16 {
		return nil, fmt.Errorf("ports %s: want numbers from 1 to 65535", ports)
	}
	var items []item
	for i := range keys.n {
		if it.form.port, err = parsePort(string(appendDigits(nil, keys.at(i)))); err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, nil
}

// splitTerm cuts [scheme://]host[:port][/path].
func splitTerm(text string) (a address, err error) {
	rest := text
	if n := schemeLen(text); n > 0 {
		a.form.scheme, rest = strings.ToLower(text[:n-len("://")]), text[n:]
	} else if strings.HasPrefix(text, "://") {
		return a, errors.New(`nothing before "://": write a scheme such as https`)
	}
	a.hostAt = len(text) - len(rest)
	if a, rest, err = a.cutHost(rest); err != nil {
		return a, behind(a.hostAt, err)
	}
	if a.form.scheme == "" && isAddressText(a.host) {
		a.host, rest = cutPrefixLen(a.host, rest)
	}
	if strings.HasPrefix(rest, ":") {
		a.portsAt = len(text) - len(rest) + 1
		end := endOf(rest, "/?#")
		if a.ports, rest = rest[1:end], rest[end:]; a.ports == "" {
			return a, behind(a.portsAt, errors.New("nothing follows the colon: write a port from 1 to 65535, or leave the colon out"))
		}
	}
	at := len(text) - len(rest)
	if rest != "" && strings.IndexByte("/?#", rest[0]) < 0 {
		return a, behind(at, fmt.Errorf("%q follows the host: want a port, a path or the end", rest))
	}
	if a.form.path, err = cleanPath(rest); err == nil && a.looksLikePrefix() {
		err = fmt.Errorf("%q behind an address reads as the length of a prefix: write a scheme or a port", a.form.path)
	}
	return a, behind(at, err)
}

// looksLikePrefix reports whether the canonical address would be read as a prefix.
func (a address) looksLikePrefix() bool {
	if a.form.scheme != "" || a.ports != "" || a.form.path == "" || !(a.bare || isAddressText(a.host) || strings.Contains(a.host, "/")) {
		return false
	}
	first := a.form.path[1:]
	return isDigits(first[:endOf(first, ":/?#")])
}

// cutHost takes the host off the front of rest.
func (a address) cutHost(rest string) (address, string, error) {
	if inner, ok := bracketed(rest); ok {
		a.host, a.bare = inner, true
		return a, rest[len(inner)+2:], nil
	}
	end := endOf(rest, "/?#")
	if a.form.scheme == "" {
		// A question mark is a wildcard unless a path came before it.
		end = endOf(rest, "/#")
		if isAddressText(rest[:end]) || isAddressRange(rest[:end]) {
			a.host = rest[:end]
			return a, rest[end:], nil
		}
	}
	if strings.Contains(rest[:end], "@") {
		return a, rest, errUserinfo
	}
	a.host = rest[:endOf(rest, ":/#")]
	if a.form.scheme != "" {
		a.host = rest[:endOf(rest, ":/?#")]
	}
	a.wildcard = strings.ContainsAny(a.host, "*?")
	return a, rest[len(a.host):], nil
}

// bracketed returns what is inside the bracket that s begins with if it is an
// address, a prefix or a range of addresses.
func bracketed(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return "", false
	}
	inner, _, ok := strings.Cut(s[1:], "]")
	if !ok {
		return "", false
	}
	if _, err := netip.ParsePrefix(inner); err == nil {
		return inner, true
	}
	return inner, isAddressText(inner) || isAddressRange(inner)
}

func isAddressText(s string) bool {
	_, ok := parseAddr(s)
	return ok
}

// parseAddr reads an address; names cost it nothing.
func parseAddr(s string) (netip.Addr, bool) {
	if s == "" || !isDigit(s[0]) && strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

func isAddressRange(s string) bool {
	from, to, ok := strings.Cut(s, "-")
	return ok && isAddressText(from) && isAddressText(to)
}

// cutPrefixLen moves "/len" from the front of rest to the address.
func cutPrefixLen(addr, rest string) (prefix, behind string) {
	if !strings.HasPrefix(rest, "/") {
		return addr, rest
	}
	end := 1 + endOf(rest[1:], ":/?#")
	if !isDigits(rest[1:end]) {
		return addr, rest
	}
	return addr + rest[:end], rest[end:]
}

// endOf returns the offset of the first byte of s that is one of chars outside brackets.
func endOf(s, chars string) int {
	depth := 0
	for i := range len(s) {
		switch {
		case s[i] == '[':
			depth++
		case s[i] == ']':
			depth--
		case depth <= 0 && strings.IndexByte(chars, s[i]) >= 0:
			return i
		}
	}
	return len(s)
}

// parseHost reads the host as one host or as a grid.
func (a address) parseHost() (host, grid, error) {
	switch {
	case a.bare && strings.Contains(a.host, "/"), endOf(a.host, "/") < len(a.host):
		return prefixGrid(a.host)
	case isAddressRange(a.host):
		return rangeGrid(a.host)
	case strings.Contains(a.host, "[") && !a.bare:
		return patternGrid(a.host)
	}
	h, err := parseHost(a.host)
	return h, grid{}, err
}
