package blackbox

import (
	"fmt"
	"strconv"
	"strings"
)

var compressions = []string{"", "gzip", "br", "deflate", "identity"}

func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// accepts reports whether a value of Accept-Encoding lets a server answer in coding.
func accepts(value, coding string) bool {
	if value == "" || coding == "" {
		return true
	}
	best, ok := -1.0, false
	for part := range strings.SplitSeq(value, ",") {
		name, parameter, weighted := strings.Cut(strings.TrimSpace(part), ";")
		quality := 1.0
		if weighted {
			quality, _ = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(parameter), "q="), 64) // nonsense is 0
		}
		if name = strings.TrimSpace(name); (name == coding || name == "*") && quality > best {
			best, ok = quality, quality > 0
		}
	}
	return ok
}
