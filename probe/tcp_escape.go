package probe

import (
	"encoding/hex"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// Escape returns the text of a [Step] that sends, or expects, s as it is, byte for byte.
func Escape(s string) string {
	return strings.NewReplacer("{", `\x7b`, "$", `\$`).Replace(string(appendEscaped(nil, []byte(s))))
}

// sendPart is a piece of what a step sends: text, or a reference to a group.
type sendPart struct{ text, ref string }

// splitSend takes the text of a step apart at its references. The texts are templates, escapes undone.
func splitSend(s string) ([]sendPart, error) {
	var parts []sendPart
	var text strings.Builder // escapes not undone
	flush := func() error {
		plain, err := unescape(text.String())
		if plain != "" {
			parts = append(parts, sendPart{text: plain})
		}
		text.Reset()
		return err
	}
	for s != "" {
		n := 1
		switch {
		case strings.HasPrefix(s, "{{"):
			n = actionLen(s)
			text.WriteString(s[:n])
		case strings.HasPrefix(s, `\$`):
			n = 2
			text.WriteString("$")
		case s[0] == '\\':
			n = min(2, len(s))
			text.WriteString(s[:n])
		case strings.HasPrefix(s, "${"):
			name, _, ok := strings.Cut(s[2:], "}")
			if !ok || !isGroupName(name) {
				return nil, muster.Errorf(muster.KindInvalid, `%q: want ${1} or ${name}, or \$ for a dollar sign`, s[:min(len(s), 20)])
			}
			if err := flush(); err != nil {
				return nil, err
			}
			n = len("${}") + len(name)
			parts = append(parts, sendPart{ref: name})
		default:
			text.WriteByte(s[0])
		}
		s = s[n:]
	}
	return parts, flush()
}

func isGroupName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// fixedBytes reads a text with escapes that is the same for every target.
func fixedBytes(s string) (string, error) {
	parts, err := splitSend(s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, part := range parts {
		t, err := vars.Parse("text", part.text)
		if err != nil {
			return "", err
		}
		fixed, ok := t.Static()
		if !ok || part.ref != "" {
			return "", muster.Errorf(muster.KindInvalid, `%q: want a text without variables; \x7b is a brace and \$ a dollar sign`, s)
		}
		b.WriteString(fixed)
	}
	return b.String(), nil
}

// hexBytes reads bytes in hexadecimal digits with blanks between them.
func hexBytes(s string) (string, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return "", muster.Errorf(muster.KindInvalid, "%q: want pairs of hexadecimal digits such as 16 03 01", s[:min(len(s), 40)])
	}
	return string(b), nil
}
