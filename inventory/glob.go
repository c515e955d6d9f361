package inventory

import (
	"errors"
	"iter"
	"strings"
)

// glob is a host pattern in which * stands for any text and ? for one byte.
type glob string

func newGlob(s string) (glob, error) {
	if strings.ContainsAny(s, "[]") {
		return "", errors.New("a wildcard and a bracket cannot be in one name: write two names")
	}
	return glob(cleanName(s)), nil
}

func (g glob) match(s string) bool {
	p := string(g)
	star, retry := -1, 0
	i, k := 0, 0
	for i < len(s) {
		switch {
		case k < len(p) && p[k] == '*':
			star, retry = k, i
			k++
		case k < len(p) && (p[k] == '?' || p[k] == s[i]):
			i, k = i+1, k+1
		case star >= 0:
			retry++
			i, k = retry, star+1
		default:
			return false
		}
	}
	return strings.Trim(p[k:], "*") == ""
}

// hosts yields the item's hosts before its filters.
func (it *item) hosts() iter.Seq[host] {
	return func(yield func(host) bool) {
		if it.single() {
			yield(it.host)
			return
		}
		for i := range it.grid.len() {
			if !yield(it.grid.host(it.grid.rankAt(i))) {
				return
			}
		}
	}
}
