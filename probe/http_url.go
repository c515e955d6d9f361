package probe

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// urlParts is a URL taken apart. A path alone leaves the rest zero.
type urlParts struct {
	scheme string
	host   string // without brackets
	addr   netip.Addr
	port   uint16 // 0 when not stated
	path   string // path and query as they are sent; "" when not stated
}

// splitURL reads a path ("/…" or "?…") or a whole http or https URL.
func splitURL(s string) (u urlParts, err error) {
	if s[0] == '/' || s[0] == '?' {
		u.path, err = cleanPath(s)
		return u, err
	}
	scheme, rest, ok := strings.Cut(s, "://")
	u.scheme = strings.ToLower(scheme)
	if !ok || u.scheme != "http" && u.scheme != "https" {
		return u, muster.Errorf(muster.KindInvalid, "url %q: want a path such as /status or a URL such as https://host/status", s)
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
		if u.path, err = cleanPath(rest[i:]); err != nil {
			return u, err
		}
	}
	if err := u.setAuthority(authority); err != nil {
		return u, muster.Errorf(muster.KindInvalid, "url %q: %w", s, err)
	}
	return u, nil
}

func (u *urlParts) setAuthority(s string) (err error) {
	if strings.Contains(s, "@") {
		return muster.Errorf(muster.KindInvalid, "want no login in the URL; use user and password")
	}
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		i := strings.IndexByte(s, ']')
		if i < 0 {
			return muster.Errorf(muster.KindInvalid, "the bracket of the host is not closed")
		}
		host, port = s[1:i], s[i+1:]
		if u.addr, err = netip.ParseAddr(strings.Replace(host, "%25", "%", 1)); err != nil || !u.addr.Is6() {
			return muster.Errorf(muster.KindInvalid, "%q is no IPv6 address", host)
		}
		host = u.addr.String()
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i:]
	}
	if port != "" && port[0] != ':' {
		return muster.Errorf(muster.KindInvalid, "want :PORT after the host")
	}
	if len(port) > 1 {
		if u.port, err = parsePort(port[1:]); err != nil {
			return err
		}
	}
	if !u.addr.IsValid() {
		u.addr, _ = netip.ParseAddr(host)
	}
	u.host = host
	return checkHost(host)
}

// checkHost keeps a host from breaking out of the request; whether it can be a name is the dialer's to say.
func checkHost(host string) error {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c == 0x7f || strings.IndexByte("/?#@\\[]\"<>", c) >= 0 {
			return muster.Errorf(muster.KindInvalid, "host %q: want a name or an address", host)
		}
	}
	if host == "" {
		return muster.Errorf(muster.KindInvalid, "the host is empty")
	}
	return nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, muster.Errorf(muster.KindInvalid, "port %q: want 1 to 65535", s)
	}
	return uint16(n), nil
}

// cleanPath returns a path and query as they are sent: absolute, without fragment, non-ASCII bytes
// percent-encoded. What is clean already is returned as it is.
func cleanPath(s string) (string, error) {
	plain := true
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c == 0x7f:
			return "", muster.Errorf(muster.KindInvalid, "url path %q: want %%%02X instead of %q at byte %d", s, c, rune(c), i+1)
		case c >= 0x80 || c == '#':
			plain = false
		}
	}
	if i := badEscape(s); i >= 0 {
		return "", muster.Errorf(muster.KindInvalid, "url path %q: want two hexadecimal digits after %% at byte %d", s, i+1)
	}
	if plain && s != "" && s[0] == '/' {
		return s, nil
	}
	return encodePath(s), nil
}

// badEscape returns the index of the first percent sign of the path that escapes nothing, or -1.
// Queries are free to hold them.
func badEscape(s string) int {
	path, _, _ := strings.Cut(s, "?")
	for i := range len(path) {
		if path[i] == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return i
		}
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func encodePath(s string) string {
	const digits = "0123456789ABCDEF"
	s, _, _ = strings.Cut(s, "#")
	b := make([]byte, 0, len(s)+16)
	if s == "" || s[0] != '/' {
		b = append(b, '/')
	}
	for i := range len(s) {
		if c := s[i]; c >= 0x80 {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
