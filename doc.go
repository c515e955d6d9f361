// Package muster is the vocabulary of muster, the master side of a fleet: what
// a target, an action, a plan, a job, a result and a ledger are.
//
// A job is an action times a frozen list of targets under a plan. It ends with
// a ledger: N targets in, exactly N outcomes out. What goes wrong with a target
// is a [Result] with a [Failure] from a closed set, never a Go error.
//
// The library is usable without the command line, a broker or a database:
//
//	inventory  targets from sets, files and URLs, frozen into a List
//	vars       templates over a target's id, labels and variables
//	extract    fields and conditions over one answer
//	dial       every socket: policy, resolver, descriptor budget
//	probe      one protocol's exchange, a Prober
//	fanout     the engine: drives a Prober over a List under a Plan
//	rollup     many results to few groups with folded node sets
//	sink       results as JSON, lines, CSV or files
//
// Implementations do not share slices, maps or pointers with their callers
// unless their documentation says so.
package muster
