package hostfile

import (
	"regexp"
	"strings"
)

// word is one word of a line and its offset in bytes.
type word struct {
	text   string
	offset int
}

// splitWords splits a line as Ansible does: as a POSIX shell would, without
// expansions; # outside quotes starts a comment. unclosed is the offset of a
// quote that does not end, -1 when all do.
func splitWords(line string) (words []word, unclosed int) {
	var b strings.Builder
	start, quote, quotedAt := -1, byte(0), 0
	flush := func() {
		if start >= 0 {
			words = append(words, word{b.String(), start})
		}
		b.Reset()
		start = -1
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '"' && c == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
			i++
			b.WriteByte(line[i])
		case quote != 0:
			b.WriteByte(c)
		case c == '#':
			flush()
			return words, -1
		case strings.IndexByte(" \t\r\n\v\f", c) >= 0:
			flush()
		default:
			if start < 0 {
				start = i
			}
			switch {
			case c == '"' || c == '\'':
				quote, quotedAt = c, i
			case c == '\\' && i+1 < len(line):
				i++
				b.WriteByte(line[i])
			default:
				b.WriteByte(c)
			}
		}
	}
	flush()
	if quote != 0 {
		return words, quotedAt
	}
	return words, -1
}

// pythonScalar is a literal that a comment may follow.
var pythonScalar = regexp.MustCompile(`^(-?[0-9][0-9._]*|True|False|None)\s*#`)

// unquoteLiteral strips the quotes of a Python string literal and the comment
// after a literal, which is how Ansible reads the value of a variable; other
// values stay as they are written.
func unquoteLiteral(s string) string {
	if m := pythonScalar.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	if len(s) < 2 || s[0] != '"' && s[0] != '\'' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			if rest := strings.TrimSpace(s[i+1:]); rest != "" && rest[0] != '#' {
				return s // no literal, or several
			}
			return b.String()
		case s[i] == '\\' && i+1 < len(s):
			i++
			if j := strings.IndexByte(`\'"nrt`, s[i]); j >= 0 {
				b.WriteByte("\\'\"\n\r\t"[j])
			} else {
				b.WriteString(s[i-1 : i+1])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return s
}
