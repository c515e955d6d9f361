package probe

import (
	"context"
	"strconv"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// statusReasons holds "status 503" for every code that net/http knows, so that results share them.
var statusReasons = func() (texts [600]string) {
	for code := range texts {
		texts[code] = "status " + strconv.Itoa(code)
	}
	return texts
}()

// answer is one complete HTTP answer, whichever path it came by.
type answer struct {
	code      int
	status    string
	content   content
	body      []byte
	truncated bool
	kept      []muster.HeaderField
	fields    []muster.Field
}

// answered turns an answer into the outcome of r.
func (p *httpProber) answered(r *muster.Result, a answer) {
	if !p.env.DiscardBody && p.spec.Decode == "" {
		u := unpack{compressed: p.spec.Compressed, limit: p.response.limit, truncate: p.spec.Truncate, cut: a.truncated}
		body, cut, err := a.content.decode(a.body, u)
		if err != nil {
			fail(r, err)
			return
		}
		a.body, a.truncated = body, a.truncated || cut
	}
	r.Code, r.Status, r.Body, r.Truncated, r.Header = a.code, a.status, a.body, a.truncated, a.kept
	r.Fields = a.fields
	r.Outcome, r.Failure, r.Reason, r.Detail = muster.OK, muster.NoFailure, "", ""
	r.Pushback = a.code == 429 || a.code == 503
	r.Transient = r.Pushback || a.code == 502 || a.code == 504
	if a.code >= 400 {
		r.Outcome = muster.Unexpected
		r.Reason = statusReason(a.code)
	}
}

func statusReason(code int) string {
	if code < len(statusReasons) {
		return statusReasons[code]
	}
	return "status " + strconv.Itoa(code)
}

// take moves the parsed answer out of r.
func (r *response) takeAnswer() answer {
	return answer{code: r.code, status: r.status, content: r.content, body: r.takeBody(), truncated: r.truncated, kept: r.kept}
}

// fail makes r the failure that err is: a fault of the codec, or an error of the dialer or a socket.
func fail(r *muster.Result, err error) { failIn(r, err, dial.PhaseExchange) }

func failIn(r *muster.Result, err error, phase dial.Phase) {
	if f, ok := err.(*fault); ok {
		r.Outcome, r.Failure, r.Reason, r.Detail, r.Transient = muster.Failed, f.failure, f.reason, f.Error(), f.transient
		return
	}
	e := dial.Classify(err, phase)
	r.Outcome, r.Failure, r.Reason, r.Detail, r.Transient = e.Outcome, e.Failure, e.Reason, e.Error(), e.Transient
}

// cancel makes r the end of an attempt that its context stopped, when it did.
func cancel(ctx context.Context, r *muster.Result) bool {
	if ctx.Err() == nil {
		return false
	}
	r.Outcome, r.Failure, r.Reason, r.Detail, r.Transient = muster.Canceled, muster.NoFailure, "canceled", "", false
	return true
}
