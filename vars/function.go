package vars

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// textFunc appends what it makes of one value, which is no map unless the
// function is json.
type textFunc func(dst []byte, v value) ([]byte, error)

var textFuncs = map[string]textFunc{
	"urlquery":   func(dst []byte, v value) ([]byte, error) { return appendEscaped(dst, v.String(), ""), nil },
	"pathescape": func(dst []byte, v value) ([]byte, error) { return appendEscaped(dst, v.String(), "$&+:=@"), nil },
	"json":       func(dst []byte, v value) ([]byte, error) { return v.appendJSON(dst), nil },
	"sh":         appendShell,
	"lower":      func(dst []byte, v value) ([]byte, error) { return append(dst, strings.ToLower(v.String())...), nil },
	"upper":      func(dst []byte, v value) ([]byte, error) { return append(dst, strings.ToUpper(v.String())...), nil },
	"trim":       func(dst []byte, v value) ([]byte, error) { return append(dst, strings.TrimSpace(v.String())...), nil },
	"b64":        func(dst []byte, v value) ([]byte, error) { return appendBase64(dst, v.String()), nil },
}

// functions is what an error message offers.
const functions = "and, b64, default, eq, index, json, lower, ne, not, or, pathescape, secret, sh, trim, upper, urlquery, var"

func appendBase64(dst []byte, s string) []byte {
	return base64.StdEncoding.AppendEncode(dst, []byte(s))
}

// appendEscaped percent-encodes all but unreserved characters (RFC 3986 §2.3) and
// those of keep. Without keep it writes a form's query, where a blank is "+".
func appendEscaped(dst []byte, s, keep string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case unreserved(c) || strings.IndexByte(keep, c) >= 0:
			dst = append(dst, c)
		case c == ' ' && keep == "":
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// appendShell writes one word in single quotes, within which a POSIX shell takes
// every character as it is but the quote itself (XCU 2.2.2).
func appendShell(dst []byte, v value) ([]byte, error) {
	s := v.String()
	if strings.IndexByte(s, 0) >= 0 {
		return dst, errors.New("a NUL byte cannot be passed to a shell")
	}
	dst = append(dst, '\'')
	for i := range len(s) {
		if s[i] == '\'' {
			dst = append(dst, `'\''`...)
		} else {
			dst = append(dst, s[i])
		}
	}
	return append(dst, '\''), nil
}

// appendQuoted writes a JSON string (RFC 8259 §7); bytes that are not UTF-8
// become U+FFFD. The line separators are escaped too, so that the text may also
// stand in a script.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
