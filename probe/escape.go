package probe

import (
	"strings"

	"github.com/musterhq/muster"
)

// unescape replaces the escapes of a text that is to be a template: \r \n \t \0 \\ and \xNN. What stands inside of
// {{…}} keeps its own, and a brace that was written as an escape begins no action.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "{{"):
			n := actionLen(s[i:])
			b.WriteString(s[i : i+n])
			i += n
		case s[i] == '\\':
			c, n, err := unescapeByte(s[i:])
			if err != nil {
				return "", err
			}
			if i += n; c == '{' {
				b.WriteString(brace)
			} else {
				b.WriteByte(c)
			}
		case s[i] == '{' && strings.HasPrefix(s[i+1:], `\`):
			b.WriteString(brace) // what the escape becomes might make an action of it
			i++
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String(), nil
}

// brace is the template of a brace that begins no action.
const brace = `{{"{"}}`

// unescapeByte reads the escape that s begins with.
func unescapeByte(s string) (c byte, n int, err error) {
	if len(s) < 2 {
		return 0, 0, muster.Errorf(muster.KindInvalid, `a backslash at the end: write \\ for a backslash`)
	}
	switch s[1] {
	case 'r':
		return '\r', 2, nil
	case 'n':
		return '\n', 2, nil
	case 't':
		return '\t', 2, nil
	case '0':
		return 0, 2, nil
	case '\\':
		return '\\', 2, nil
	case 'x':
		if len(s) >= 4 && isHex(s[2]) && isHex(s[3]) {
			return unhex(s[2])<<4 | unhex(s[3]), 4, nil
		}
		return 0, 0, muster.Errorf(muster.KindInvalid, `%q: want two hexadecimal digits after \x`, s[:min(len(s), 4)])
	}
	return 0, 0, muster.Errorf(muster.KindInvalid, `%q: want \r \n \t \0 \xNN, or \\ for a backslash`, s[:2])
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}

// actionLen is the length of the template action that s begins with, or of s when it does not end.
func actionLen(s string) int {
	quote := byte(0)
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case quote == 0 && c == '}' && strings.HasPrefix(s[i:], "}}"):
			return i + 2
		case quote == 0 && (c == '"' || c == '`'):
			quote = c
		case quote == '"' && c == '\\':
			i++
		case c == quote:
			quote = 0
		}
	}
	return len(s)
}

// appendEscaped appends bytes as the text from which unescape makes them.
func appendEscaped(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range b {
		switch {
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\\':
			dst = append(dst, `\\`...)
		case c < ' ' || c >= 0x7f:
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
