package sshconfig

import "strings"

// condition is one requirement of a Host or Match line.
type condition struct {
	on       subject
	patterns []string // lower case; one that starts with ! excludes
	negate   bool     // of a Match criterion with !
}

// subject is what the patterns of a condition are held against.
type subject uint8

const (
	onOriginal subject = iota // the name looked up
	onHost                    // the HostName found so far, else the name
	onUser
	onLocalUser
	onNothing // criteria that are not evaluated: never holds
)

// query is one lookup.
type query struct {
	config *Config
	name   string // lower case
	host   *Host
}

func (q *query) holds(cs []condition) bool {
	for i := range cs {
		c := &cs[i]
		if c.on == onNothing || matchList(c.patterns, q.subject(c.on)) == c.negate {
			return false
		}
	}
	return true
}

func (q *query) subject(on subject) string {
	switch {
	case on == onUser && q.host.User != "":
		return strings.ToLower(q.host.User)
	case on == onUser || on == onLocalUser:
		return strings.ToLower(q.config.local)
	case on == onHost && q.host.HostName != "":
		return strings.ToLower(q.host.HostName)
	}
	return q.name
}

// matchList reports whether s matches one of the patterns and none that is negated.
func matchList(patterns []string, s string) bool {
	found := false
	for _, p := range patterns {
		p, negated := strings.CutPrefix(p, "!")
		if !Match(p, s) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// Match reports whether s matches a pattern in which * stands for any text and ? for any one byte.
// It takes time in proportion to both lengths.
func Match(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
