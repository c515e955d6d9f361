package probe

import (
	"fmt"

	"github.com/musterhq/muster"
)

// fault is how an exchange went wrong. The shared ones are compared by identity.
type fault struct {
	failure   muster.Failure
	reason    string // stable
	detail    string
	transient bool
}

// Error returns the detail.
func (f *fault) Error() string {
	if f.detail == "" {
		return f.reason
	}
	return f.detail
}

// The faults of the codec and of the exchange around it.
var (
	errNoAnswer = &fault{muster.FailReset, "closed without an answer", "connection closed before the first byte of an answer", true}
	errCutHead  = &fault{muster.FailReset, "closed inside the header", "connection closed inside the response header", true}
	errCutBody  = &fault{muster.FailProtocol, "body cut short", "connection closed before the end of the announced body", true}
	errConflict = &fault{muster.FailProtocol, "conflicting framing", "Content-Length fields contradict each other", false}

	errTooLarge     = &fault{muster.FailTooLarge, "body too large", "body exceeds the limit (body_limit raises it, truncate cuts)", false}
	errHeadTooLarge = &fault{muster.FailTooLarge, "header too large", fmt.Sprintf("response header exceeds %d KiB or %d fields", maxHead>>10, maxFields), false}
)

// maxQuote bounds what an error quotes of the peer's bytes.
const maxQuote = 60

// malformed returns the fault of a peer that broke the protocol in the named part.
func malformed(what string, b []byte) *fault {
	f := &fault{failure: muster.FailProtocol, reason: "malformed " + what}
	if b != nil {
		f.detail = fmt.Sprintf("malformed %s: %q", what, b[:min(len(b), maxQuote)])
	}
	return f
}
