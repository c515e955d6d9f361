package inventory

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// form is what a target is beside its host. Empty parts are not said.
type form struct {
	scheme string
	port   uint16
	path   string // with its query; "" for "/" too
}

// defaultPort returns the port that a scheme's URLs leave out; 0 when none is known.
func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	case "ssh":
		return 22
	case "dns":
		return 53
	}
	return 0
}

// rooted reports whether the URLs of a scheme always have a path.
func rooted(scheme string) bool {
	switch scheme {
	case "http", "https", "ws", "wss":
		return true
	}
	return false
}

// withDefaults fills in what the query adds to targets that do not say it.
func (f form) withDefaults(scheme string, port uint16) form {
	if f.scheme == "" {
		f.scheme = scheme
		if f.port == 0 && port == 0 {
			f.port = defaultPort(scheme)
		}
	}
	if f.port == 0 {
		f.port = port
	}
	return f
}

// urlPath returns the path as the target's id and Path show it.
func (f form) urlPath() string {
	if f.path == "" && rooted(f.scheme) {
		return "/"
	}
	return f.path
}

// around returns what stands before and behind the host in the canonical address.
func (f form) around(ipv6 bool) (prefix, suffix string) {
	port := f.port
	if f.scheme != "" {
		prefix = f.scheme + "://"
		if port == defaultPort(f.scheme) {
			port = 0
		}
	}
	bracket := ipv6 && (f.scheme != "" || port != 0 || f.path != "")
	if bracket {
		prefix, suffix = prefix+"[", "]"
	}
	if port != 0 {
		suffix += ":" + strconv.Itoa(int(port))
	}
	return prefix, suffix + f.urlPath()
}

// general returns the forms with which a pattern matches f: each part said as f
// says it, or not said.
func (f form) general() [8]form {
	var fs [8]form
	for i := range fs {
		fs[i] = f
		if i&1 != 0 {
			fs[i].scheme = ""
		}
		if i&2 != 0 {
			fs[i].port = 0
		}
		if i&4 != 0 {
			fs[i].path = ""
		}
	}
	return fs
}

// cleanPath checks a URL's path and query, and drops the fragment, which is never sent.
func cleanPath(s string) (string, error) {
	s, _, _ = strings.Cut(s, "#")
	if s == "" || s == "/" {
		return "", nil
	}
	if s[0] != '/' {
		s = "/" + s
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", fmt.Errorf("path %q holds a control character", s)
		}
	}
	path, _, _ := strings.Cut(s, "?")
	if _, err := url.PathUnescape(path); err != nil {
		return "", fmt.Errorf("path %q: %w: write a percent sign as %%25", path, err)
	}
	return s, nil
}

// parsePort reads a port from 1 to 65535.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q: want a number from 1 to 65535", s)
	}
	return uint16(n), nil
}
