package strictyaml

import (
	"slices"
	"strings"
)

// maxListed is how many keys a message lists.
const maxListed = 12

// unknown says that there is no such key, and which was meant or which there are.
func unknown(key string, known []string) string {
	if near := Nearest(key, known); near != "" {
		return "unknown key, did you mean " + near + "?"
	}
	if len(known) > maxListed {
		return "unknown key; there are " + strings.Join(known[:maxListed], ", ") + ", …"
	}
	return "unknown key; there are " + strings.Join(known, ", ")
}

// Nearest returns the one of names that s is most likely a misspelling of; "" when none is near.
func Nearest(s string, names []string) string {
	best, near := "", 1+max(2, len(s)/3)
	for _, name := range names {
		far := distance(normal(s), normal(name))
		if len(s) >= 3 && strings.HasPrefix(normal(name), normal(s)) {
			far = min(far, 2)
		}
		if far < near && far < len(name) {
			best, near = name, far
		}
	}
	return best
}

func normal(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "_")) }

// distance is the Levenshtein distance of two short texts; texts over 64 bytes are far from everything.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
		}
	}
	return row[len(b)]
}
