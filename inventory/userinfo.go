package inventory

import (
	"errors"
	"regexp"
)

// errUserinfo refuses a user or password without repeating it.
var errUserinfo = errors.New("a user or password cannot be part of a target: it would show in every result; " +
	"give credentials to the action")

// userinfo matches what may be credentials before an @: all of an authority behind a scheme, and
// without one what has a colon. It may take more than that, never less: it only shortens messages.
// An @ behind a separator begins a group instead.
var userinfo = regexp.MustCompile(`(://|(?:^|[\s,!&^])[^\s,!&^@/?#\[\]:]+:)[^/?#\s]*[^\s,!&^/?#]@`)

// withoutUserinfo returns s with credentials replaced by "…", for messages and descriptions.
func withoutUserinfo(s string) string { return userinfo.ReplaceAllString(s, "${1}…@") }

// inUserinfo reports whether offset at of s is inside what may be credentials.
func inUserinfo(s string, at int) bool {
	for _, m := range userinfo.FindAllStringSubmatchIndex(s, -1) {
		if at >= m[3] && at < m[1] {
			return true
		}
	}
	return false
}
