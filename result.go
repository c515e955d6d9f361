package muster

import (
	"net/netip"
	"time"
)

// Result is how one target ended, with the evidence. It is a value; its slices
// belong to the receiver once it has been handed over.
type Result struct {
	// Index is the target's number in the job's frozen list.
	Index int
	// Target is the target's id.
	Target string
	// Outcome is never zero in a result that left the engine.
	Outcome Outcome
	// Failure is set when Outcome is Failed.
	Failure Failure
	// Reason is a short stable text of low cardinality that says why the outcome
	// is not OK; results are grouped by it ("status 503", "denied link-local").
	Reason string
	// Detail is free text for a person: an error message, a row's defect.
	Detail string
	// Status is the protocol's own status as text ("200 OK"); "" without an answer.
	Status string
	// Code is the status as a number: HTTP status, exit code. 0 without an answer.
	Code int
	// Address is the one address that the last attempt spoke to; the zero value when none was.
	Address netip.AddrPort
	// Started is when the last attempt began.
	Started time.Time
	// Timings are the phases of the last attempt.
	Timings Timings
	// Attempts counts the attempts; 0 when nothing was tried.
	Attempts int
	// Fields are the extracted fields, in the order of the action's rules.
	Fields []Field
	// Header holds the response headers that the action asked to keep, names in lower case.
	Header []HeaderField
	// Body is the answer's payload, at most the action's body limit.
	Body []byte
	// Truncated says that Body was cut at the limit.
	Truncated bool

	// Transient is the probe's word that another attempt may end differently.
	Transient bool
	// Sent says that at least one byte may have reached the target.
	Sent bool
	// Pushback says that the peer asked for less (429, 503): the adaptive limit listens.
	Pushback bool
}

// Timings are the lengths of an attempt's phases. A phase that did not happen is 0.
type Timings struct {
	Resolve   time.Duration
	Connect   time.Duration
	TLS       time.Duration // the TLS handshake, or SSH's key exchange and login
	FirstByte time.Duration // from the request written to the first byte of the answer
	Total     time.Duration // of the whole attempt
}

// Field is one extracted value: a string, a float64, a bool, or nil when the
// rule found nothing.
type Field struct {
	Name  string
	Value any
}

// HeaderField is one kept response header.
type HeaderField struct {
	Name, Value string
}

// AddressText returns Address as reports write it: without a port where the protocol has none, "" for the zero value.
func (r *Result) AddressText() string {
	switch {
	case !r.Address.IsValid():
		return ""
	case r.Address.Port() == 0:
		return r.Address.Addr().String()
	}
	return r.Address.String()
}

// ParseAddress reads what AddressText returned; "" is the zero value.
func ParseAddress(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	return netip.ParseAddrPort(s)
}

// Field returns the value of the named extracted field.
func (r *Result) Field(name string) (any, bool) {
	for i := range r.Fields {
		if r.Fields[i].Name == name {
			return r.Fields[i].Value, true
		}
	}
	return nil, false
}

// Fail makes r a failure of the given kind with a detail for people, and returns it.
func (r Result) Fail(f Failure, detail string) Result {
	r.Outcome, r.Failure, r.Detail = Failed, f, detail
	return r
}
