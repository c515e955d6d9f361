package dial

import "github.com/musterhq/muster"

// Error is a target's end before there was an answer: what [muster.Result] needs, and the
// cause. It is immutable and may be shared.
type Error struct {
	// Outcome is Failed, Denied, Invalid or Canceled.
	Outcome muster.Outcome
	// Failure is set when Outcome is Failed.
	Failure muster.Failure
	// Reason is a short stable text of low cardinality: "no such host",
	// "denied link-local 169.254.0.0/16".
	Reason string
	// Detail is the message for a person, with names and addresses; "" when Reason says it all.
	Detail string
	// Transient says that another attempt may end differently.
	Transient bool
	// Err is the cause; nil when there is none beyond Reason.
	Err error
}

// Error returns Detail, else Reason.
func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Reason
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time ran out, as [net.Error] asks.
func (e *Error) Timeout() bool {
	return e.Failure == muster.FailConnectTimeout || e.Failure == muster.FailTimeout
}

// Temporary returns Transient, as [net.Error] asks.
func (e *Error) Temporary() bool { return e.Transient }

// Result returns a result that carries the error's outcome, failure, reason, detail and
// transience; the caller adds address and timings.
func (e *Error) Result() muster.Result {
	return muster.Result{
		Outcome: e.Outcome, Failure: e.Failure,
		Reason: e.Reason, Detail: e.Error(), Transient: e.Transient,
	}
}

func failed(f muster.Failure, reason string, transient bool, err error) *Error {
	e := &Error{Outcome: muster.Failed, Failure: f, Reason: reason, Transient: transient, Err: err}
	if err != nil {
		e.Detail = err.Error()
	}
	return e
}

func invalid(detail string) *Error {
	return &Error{Outcome: muster.Invalid, Reason: "invalid address", Detail: detail}
}
