package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// maxBanner bounds the field with the first line.
const maxBanner = 256

// Probe connects to t and does the dialogue.
func (p *tcpProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	s, d := p.script(&t, false)
	if d != nil {
		d.result(&r)
		return r
	}
	c := connect(ctx, &p.env, s.endpoint, &r)
	if r.Failure == muster.FailReset && p.spec.connectOnly() && !p.spec.Secure { // see wasOpen
		r = muster.Result{Started: r.Started, Address: r.Address, Timings: r.Timings, Outcome: muster.OK, Status: statusConnected}
	}
	if c != nil {
		k := talk{p: p, s: s, r: &r, raw: c, conn: c, end: r.Started.Add(p.env.Timeout)}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		err := c.SetDeadline(k.end)
		status := ""
		if err == nil {
			status, err = k.run()
		}
		stop()
		c.Close() // a second time after a cancel, which does no harm
		k.conclude(ctx, status, err)
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// wasOpen reports whether a connect that ended with err had succeeded: only a peer that has accepted can reset, and
// whether it is seen to have done so before or after that is a matter of chance.
func wasOpen(err error) bool {
	e, ok := errors.AsType[*dial.Error](err)
	return ok && e.Failure == muster.FailReset
}

// conclude makes the dialogue's end that of the result.
func (k *talk) conclude(ctx context.Context, status string, err error) {
	r := k.r
	u, isUnmet := errors.AsType[*unmet](err)
	h, inHandshake := errors.AsType[handshakeError](err)
	switch {
	case err == nil:
		r.Outcome, r.Status, r.Truncated = muster.OK, status, k.cut
	case isUnmet:
		r.Outcome, r.Reason, r.Detail, r.Status = muster.Unexpected, u.reason, u.detail, "no match"
	case cancel(ctx, r):
		return
	case inHandshake:
		failTLS(r, h.error)
		return
	default:
		failIn(r, err, dial.PhaseExchange)
		k.evidence()
		return
	}
	k.fields()
	if !k.p.env.DiscardBody && len(k.in) > 0 {
		r.Body = bytes.Clone(k.in)
	}
}

// evidence says what a peer sent before it failed.
func (k *talk) evidence() {
	if len(k.in) > 0 {
		k.r.Detail = fmt.Sprintf("%s, after %d bytes: %q", k.r.Detail, len(k.in), k.in[:min(len(k.in), maxQuote)])
	}
}

// fields puts the first line and what was caught into the result.
func (k *talk) fields() {
	if k.p.spec.connectOnly() {
		return
	}
	if _, taken := k.caught[bannerField]; !taken {
		line, _, _ := bytes.Cut(k.in, []byte{'\n'})
		line = bytes.TrimRight(line[:min(len(line), maxBanner)], "\r")
		k.catch(bannerField, strings.ToValidUTF8(string(line), "\ufffd"))
	}
	for _, name := range append([]string{bannerField}, k.p.names...) {
		k.r.Fields = append(k.r.Fields, k.field(name))
	}
}

var _ interface {
	muster.Prober
	Checker
	Previewer
} = (*tcpProber)(nil)
