package muster

import "fmt"

// Outcome is how one target of a job ended. The set is closed: every target of
// every job ends in exactly one of the eight values of [Outcomes]. The zero
// value means that the target has not ended.
type Outcome uint8

// The outcomes, in the order in which reports list them.
const (
	// OK means that the target answered and its answer met the expectation.
	OK Outcome = iota + 1
	// Unexpected means that the target answered and its answer did not meet the
	// expectation; [Result.Reason] says which.
	Unexpected
	// Failed means that there was no usable answer; [Result.Failure] says why.
	Failed
	// Canceled means that the attempt was under way when the job was told to stop.
	Canceled
	// NotAttempted means that nothing was sent: the budget, the deadline or a
	// cancel came first, or the target's row switched itself off.
	NotAttempted
	// Denied means that the target policy forbids the address.
	Denied
	// Invalid means that the target's row, address or template is defective.
	Invalid
	// Lost means that the process that had started an attempt which must not be
	// repeated died before it reported the end.
	Lost

	// NumOutcomes is the size of an array that is indexed by Outcome.
	NumOutcomes = int(Lost) + 1
)

// Failure says why a target is [Failed]. The set is closed; the zero value
// [NoFailure] goes with every other outcome.
type Failure uint8

// The failures, in the order in which reports list them.
const (
	// NoFailure is the zero value.
	NoFailure Failure = iota
	// FailDNS means that the target's name does not resolve.
	FailDNS
	// FailRefused means that the peer refused the connection.
	FailRefused
	// FailUnreachable means that the network or host cannot be reached.
	FailUnreachable
	// FailConnectTimeout means that no connection was made in time.
	FailConnectTimeout
	// FailTLS means that the TLS handshake or the certificate check went wrong.
	FailTLS
	// FailAuth means that a login was refused or a host key did not match.
	FailAuth
	// FailTimeout means that the exchange did not end in time.
	FailTimeout
	// FailReset means that the peer closed or reset the connection too early.
	FailReset
	// FailProtocol means that the peer broke the protocol.
	FailProtocol
	// FailTooLarge means that the answer is larger than the body limit.
	FailTooLarge
	// FailExit means that a remote command ended without a status.
	FailExit
	// FailNoReply means that a connectionless probe got no answer.
	FailNoReply
	// FailLocal means that our own side lacked a resource: descriptors, ports, memory.
	FailLocal

	// NumFailures is the size of an array that is indexed by Failure.
	NumFailures = int(FailLocal) + 1
)

var outcomeNames = [NumOutcomes]string{
	"", "ok", "unexpected", "failed", "canceled", "not_attempted", "denied", "invalid", "lost",
}

var failureNames = [NumFailures]string{
	"", "dns", "refused", "unreachable", "connect_timeout", "tls", "auth", "timeout", "reset",
	"protocol", "too_large", "exit", "no_reply", "local",
}

// Outcomes returns the eight outcomes in report order.
func Outcomes() []Outcome {
	return []Outcome{OK, Unexpected, Failed, Canceled, NotAttempted, Denied, Invalid, Lost}
}

// Failures returns the failures in report order, without [NoFailure].
func Failures() []Failure {
	fs := make([]Failure, 0, NumFailures-1)
	for f := FailDNS; int(f) < NumFailures; f++ {
		fs = append(fs, f)
	}
	return fs
}

// Answered reports whether the target gave an answer: [OK] or [Unexpected].
func (o Outcome) Answered() bool { return o == OK || o == Unexpected }

// Spends reports whether the outcome uses up the job's error budget.
// Defective, denied and unattempted targets do not: nothing was done to them.
func (o Outcome) Spends() bool { return o == Unexpected || o == Failed || o == Lost }

// String returns the name that reports, stores and filters use; "" for zero.
func (o Outcome) String() string { return nameOf(outcomeNames[:], int(o)) }

// MarshalText returns the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText accepts an outcome's name, or "" for zero.
func (o *Outcome) UnmarshalText(b []byte) error {
	n, err := indexOf(outcomeNames[:], string(b), "outcome")
	*o = Outcome(n)
	return err
}

// String returns the name that reports, stores and filters use; "" for none.
func (f Failure) String() string { return nameOf(failureNames[:], int(f)) }

// MarshalText returns the failure's name.
func (f Failure) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts a failure's name, or "" for none.
func (f *Failure) UnmarshalText(b []byte) error {
	n, err := indexOf(failureNames[:], string(b), "failure")
	*f = Failure(n)
	return err
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("#%d", i)
	}
	return names[i]
}

func indexOf(names []string, s, what string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, Errorf(KindInvalid, "%s %q: want one of %v", what, s, names[1:])
}
