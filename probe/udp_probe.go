package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

// Probe does one exchange with t.
func (p *udpProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	port, datagram, d := p.build(nil, &t)
	if d != nil {
		d.result(&r)
		return r
	}
	if ap, ok := resolve(ctx, &p.env, &t, port, &r); ok {
		k := datagramTalk{env: &p.env, patience: p.patience, datagram: datagram, end: r.Started.Add(p.env.Timeout)}
		buf := p.buffers.get()
		k.run(ctx, ap, &udpReplies{p: p}, buf[:], &r)
		p.buffers.put(buf)
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// build returns where the datagram for t goes, and appends it to dst.
func (p *udpProber) build(dst []byte, t *muster.Target) (port uint16, datagram []byte, d *defect) {
	if port, d = p.place.locate(t); d != nil {
		return 0, dst, d
	}
	datagram, err := p.appendPayload(dst, t)
	if err == nil {
		return port, datagram, nil
	}
	if _, missing := errors.AsType[*vars.MissingError](err); missing {
		return 0, dst, expansionDefect(err)
	}
	return 0, dst, &defect{"invalid payload", err}
}

// udpReplies are what has come back of one exchange.
type udpReplies struct {
	p      *udpProber
	n      int
	strays int
	body   []byte
	cut    bool
	over   bool // the limit
}

// take keeps one reply. Of several each stands on a line of its own.
func (u *udpReplies) take(b []byte) (done bool, next time.Duration) {
	u.n++
	u.keep(b)
	if u.over || u.n >= u.p.replies {
		return true, 0
	}
	if u.p.spec.Idle > 0 {
		return false, time.Duration(u.p.spec.Idle)
	}
	return false, u.p.env.Timeout // the rest of the attempt
}

func (u *udpReplies) keep(b []byte) {
	if n := len(u.body); n > 0 && u.body[n-1] != '\n' {
		u.body = append(u.body, '\n')
	}
	if room := u.p.limit - len(u.body); len(b) > room {
		u.over = !u.p.spec.Truncate
		u.cut, b = true, b[:max(room, 0)]
	}
	u.body = append(u.body, b...)
}

// ended says how the exchange went.
func (u *udpReplies) ended(r *muster.Result, sent int, err error) {
	switch {
	case u.over:
		fail(r, errTooLarge)
	case u.n > 0:
		u.answered(r)
	case errors.Is(err, os.ErrDeadlineExceeded):
		silent(r, sent, time.Since(r.Started))
	default:
		failIn(r, err, dial.PhaseExchange)
	}
	if r.Outcome.Answered() || u.strays > 0 {
		r.Fields = []muster.Field{{Name: "replies", Value: float64(u.n)}, {Name: "strays", Value: float64(u.strays)}}
	}
}

func (u *udpReplies) answered(r *muster.Result) {
	r.Outcome, r.Status, r.Truncated = muster.OK, "reply", u.cut
	if !u.p.env.DiscardBody {
		r.Body = u.body
	}
	if want := u.p.spec.Replies; u.n < want {
		r.Outcome, r.Reason = muster.Unexpected, "too few replies"
		r.Detail = fmt.Sprintf("%d of %d datagrams came", u.n, want)
		r.Transient = true
	}
}

// Check reports why t would end invalid.
func (p *udpProber) Check(t *muster.Target) error {
	if _, _, d := p.build(nil, t); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the payload after a line with its destination. What is no text is escaped.
func (p *udpProber) Preview(t *muster.Target) (string, error) {
	port, datagram, d := p.build(nil, t)
	if d != nil {
		return "", d.err
	}
	text := string(appendEscaped(nil, datagram))
	if p.payload != nil && p.payload.Secret() {
		shown, err := p.payload.Redacted(t)
		if err != nil {
			return "", err
		}
		text = string(appendEscaped(nil, []byte(shown)))
	}
	return previewHead("udp", t, port) + text, nil
}

// previewHead is the line that says where an exchange goes.
func previewHead(transport string, t *muster.Target, port uint16) string {
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("# %s %s:%d\n", transport, host, port)
}
