// Package extract judges answers: it takes named fields out of a result and decides by a
// condition whether the answer is the expected one. It also holds the JSONPath (RFC 9535)
// and the filter over stored results.
//
// # Rules
//
// An extract rule is NAME=RULE, where NAME is letters, digits, "_" and "-" and
// starts with a letter or "_":
//
//	re:PATTERN, /PATTERN/  the first group of an RE2 pattern in the body, or all it matches without groups
//	json:$.path, $.path    a JSONPath into the body: the one node found, or a JSON array when there are more
//	header:Name            a response header; several of one name are joined by ", "
//	status, code           the status as a number: HTTP status, exit code
//	body, size             the body as text, its length in bytes
//	ms                     milliseconds of the whole attempt
//	timing:PHASE           milliseconds of resolve, connect, tls, first_byte or total
//	expr:EXPRESSION        an expression as in conditions; the fields before it are known
//
// A field is a string, a float64, a bool, or nil when the rule finds nothing, finds
// JSON's null, or cannot be computed. JSON integers beyond 2^53, which a
// float64 would round, become their digits as a string; objects and arrays become
// compact JSON text with sorted names.
//
// # Conditions
//
// A condition is a boolean expression of https://expr-lang.org over
//
//	status, code, status_text   200, 200, "200 OK"
//	body, size, truncated       the body as text, its bytes, whether it was cut
//	json                        the body parsed; nil when it is no JSON
//	headers, header("Name")     kept headers by lower-case name; "" when there is none
//	header_values("Name")       each value of one, as a list
//	ms, timings.connect         milliseconds: resolve, connect, tls, first_byte, total
//	outcome, failure, reason    what the probe says: "ok", "refused", "status 503"
//	attempts                    how many there were
//	target, host, port, address the target's id, host and port; the address spoken to
//	labels.x, vars.x            the target's own; "" when there is none
//	fields.x, or just x         an extracted field, or one of the probe's own such as
//	                            cert.days_left; nil when there is none
//
// A check of an action (muster.Check) is a condition like that, or one in the Common Expression
// Language (https://cel.dev) over body, the answer as JSON.
//
// In json, integers beyond 2^53 are exact integers and those beyond 64 bits are their
// digits as a string; a missing member is nil, of which neither members nor an
// order exist: guard with ?. and ??. An expression has at most 1,000 nodes and is
// given up, as an error, after 5 million steps of its predicates, one second in them,
// a million values built, or a text of 64 MiB.
package extract
