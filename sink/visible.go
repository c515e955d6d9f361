package sink

import (
	"unicode"
	"unicode/utf8"
)

// Visible returns s, a text of one line that a target or a file may have written, as a terminal may
// show it: control characters, line breaks among them, bytes that are not UTF-8 and the marks that
// reorder text become visible (\x1b). Tabs stay.
func Visible(s string) string { return string(appendVisible(nil, s)) }

// appendVisible appends s for a terminal: control characters, which could move the cursor,
// retitle the window or answer in the user's name, become visible (\x1b), and so do bytes
// that are not UTF-8 and the marks that reorder text. Tabs stay.
func appendVisible[S string | []byte](dst []byte, s S) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if (c < 0x20 && c != '\t') || c == 0x7f {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
			} else {
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && size == 1, r < 0xa0:
			for _, c := range []byte(s[i : i+size]) {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
			}
		case unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}
