package extract

import (
	"strings"
	"unicode/utf8"
)

// maxShown is how many runes of a user's text a reason or a message repeats.
const maxShown = 80

// shorten makes s one line of at most maxShown runes.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	return string([]rune(s)[:maxShown-1]) + "…"
}
