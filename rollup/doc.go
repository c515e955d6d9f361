// Package rollup turns many results into few groups: by status, outcome, failure, any field,
// an extract rule or identical bodies, with counts and folded node sets; numeric fields
// into a [Stats]; and names the slowest targets and what changed between two runs.
//
// Everything here is mergeable: the parts of a job that were counted apart give the same
// groups as the whole. None of it is safe for concurrent use.
//
// # What to group by
//
// [ParseBy] reads:
//
//	status            the protocol's status: "200 OK", "exit 1"
//	code, size        the status as a number, the bytes of the body
//	body              the identical body, after masks
//	field:NAME, NAME  an extracted field, or one of the probe's own: cert.issuer
//	header:NAME       a kept response header; several of one name are joined by ", "
//	re:… /…/ json:$… $… expr:… timing:…, NAME=RULE   a rule of package extract, applied now
//	outcome, failure, reason        how the target ended
//	label:NAME, var:NAME, host      the target's own
//
// Those of the first lines need an answer. A target without one is grouped under what
// happened instead: "failed: refused", "not_attempted", "denied". The key of a target for which
// there is nothing (no such label, a rule that finds nothing, no reason) is "-".
package rollup
