package inventory

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// Selector is a condition over a target's labels and over what every target
// has: id, host, port, and the groups it came from. It is immutable and safe for concurrent use; nil
// matches everything.
type Selector struct {
	text string
	all  []requirement
}

// test is how a requirement looks at a value.
type test uint8

const (
	testExists test = iota
	testIn
	testMatch
)

// requirement is one condition; negated ones also hold where the key is missing.
type requirement struct {
	key     string
	test    test
	negated bool
	values  []string
	pattern *regexp.Regexp
}

// Match reports whether t meets all requirements.
func (s *Selector) Match(t *muster.Target) bool {
	if s == nil {
		return true
	}
	for i := range s.all {
		if !s.all[i].holds(t) {
			return false
		}
	}
	return true
}

// String returns the selector as it was written.
func (s *Selector) String() string {
	if s == nil {
		return ""
	}
	return s.text
}

// perHost reports whether targets of one range may differ in what the selector looks at.
func (s *Selector) perHost() bool {
	return s != nil && slices.ContainsFunc(s.all, func(r requirement) bool { return r.key == "host" || r.key == "id" })
}

func (r *requirement) holds(t *muster.Target) bool {
	if r.key == groupLabel {
		return r.inGroups(t.Labels[groupLabel]) != r.negated
	}
	value, ok := valueOf(t, r.key)
	return ok && r.accepts(value) != r.negated || !ok && r.negated
}

// inGroups reports whether one of the groups is what the requirement wants.
func (r *requirement) inGroups(list string) bool {
	for g := range strings.SplitSeq(list, ",") {
		if g != "" && r.accepts(g) {
			return true
		}
	}
	return false
}

func (r *requirement) accepts(value string) bool {
	switch r.test {
	case testIn:
		return slices.Contains(r.values, value)
	case testMatch:
		return r.pattern.MatchString(value)
	}
	return true
}

// valueOf returns what key means for t. Port exists when the target has its own.
func valueOf(t *muster.Target, key string) (string, bool) {
	switch key {
	case "id":
		return t.ID, true
	case "host":
		return t.Host, t.Host != ""
	case "port":
		return strconv.Itoa(int(t.Port)), t.Port != 0
	}
	v, ok := t.Labels[key]
	return v, ok
}
