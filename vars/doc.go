// Package vars expands per-target templates: text with {{…}} actions over one
// target's id, address, labels and variables. A template is parsed once and
// expanded for each target.
//
// # Variables
//
//	{{.id}} {{.index}}            the target's id, and its number in the list from 0
//	{{.host}} {{.name}}           the target's host, a name or an IP literal without brackets
//	{{.addr}}                     the host when it is an IP literal
//	{{.port}} {{.scheme}}         the target's own port and scheme, when it has them
//	{{.path}}                     path and query of a target given as a URL, else ""
//	{{.vars.X}} {{.labels.X}}     the variable X, the label X
//	{{.X}}                        the variable X, else the built-in X, else the label X
//	{{var "a-b"}} {{index .vars "a-b"}} {{index .labels "a-b"}}
//	                              the same for names that are not identifiers
//
// A row's own variable therefore hides a built-in of the same name, and a label
// never does. {{.vars}} and {{.labels}} themselves always mean the maps, which
// only json accepts. A variable that the target does not have is an error, a
// [MissingError], except as an argument of default, if, and, or, not.
//
// # Functions
//
//	urlquery    escapes for a URL's query: "a b" is a+b
//	pathescape  escapes for one segment of a URL's path: "a b" is a%20b
//	json        a JSON value: quoted text, a bare number for .port and .index, an object for a map
//	sh          one word of a POSIX shell, always single-quoted; NUL is an error
//	lower, upper, trim, b64
//	default D   D when the value is missing or empty: {{.port | default 8080}}
//	eq, ne      compare as text; eq a b c is true when a is b or c
//	and, or, not
//	secret      a secret by reference, "env:NAME" or "file:PATH", resolved when the template is parsed
//
// Actions are pipelines as in [text/template], with comments, trim markers,
// parentheses, literals and if, else if, else. There are no loops, no assignments
// and no templates within templates, so that an expansion is linear in the
// template; what it writes and computes is bounded by [MaxSize].
package vars
