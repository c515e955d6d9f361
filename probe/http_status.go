package probe

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// maxStatus bounds the status text in a result: reports group by it.
const maxStatus = 100

// statusTexts holds "200 OK" for every registered status, so that results share them.
var statusTexts = func() (texts [600]string) {
	for code := range texts {
		if t := http.StatusText(code); t != "" {
			texts[code] = strconv.Itoa(code) + " " + t
		}
	}
	return texts
}()

// parseStatus reads a status line.
func (r *response) parseStatus(line []byte) error {
	proto, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return malformed("status line", line)
	}
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	digits, _, _ := bytes.Cut(rest, []byte{' '})
	code, ok := parseCode(digits)
	if !ok || !r.framing.parseVersion(proto) {
		return malformed("status line", line)
	}
	r.code = code
	r.status = statusText(code, rest)
	return nil
}

// parseCode reads three characters the way strconv.Atoi does, signs included.
func parseCode(b []byte) (int, bool) {
	if len(b) != 3 {
		return 0, false
	}
	if c := b[0]; c == '+' || c == '-' && b[1] == '0' && b[2] == '0' {
		b = b[1:]
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func (f *framing) parseVersion(b []byte) bool {
	if len(b) != len("HTTP/1.1") || !bytes.HasPrefix(b, protoPrefix) || b[6] != '.' {
		return false
	}
	f.major, f.minor = b[5]-'0', b[7]-'0'
	return f.major <= 9 && f.minor <= 9
}

// statusText returns the status as a result shows it: the shared text when it is the registered one.
func statusText(code int, text []byte) string {
	if code < len(statusTexts) && string(text) == statusTexts[code] {
		return statusTexts[code]
	}
	text = trimRight(text)
	return strings.ToValidUTF8(string(text[:min(len(text), maxStatus)]), "?")
}
