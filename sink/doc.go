// Package sink writes results where people and programs read them: JSON lines, one JSON
// document, CSV, live lines, a file per target.
//
// Sinks implement [muster.Sink]; calls of one sink must not overlap. A reader that has
// gone away is reported as [ErrClosedPipe], so that a caller can stop quietly.
package sink
