package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

var (
	_ packetKind     = (*udpProber)(nil)
	_ packetExchange = (*udpExchange)(nil)
	_ strayObserver  = (*udpExchange)(nil)
	_ Checker        = (*udpProber)(nil)
	_ Previewer      = (*udpProber)(nil)
)

// Probe does one exchange with t over a socket of its own.
func (p *udpProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	return probeDatagrams(ctx, p, t)
}

func (p *udpProber) locate(t *muster.Target) (packetRoute, *defect) {
	port, d := p.place.locate(t)
	if d == nil && p.payload != nil {
		d = p.checkPayload(t)
	}
	return packetRoute{host: t.Host, addr: t.Addr, port: port}, d
}

// checkPayload finds what keeps t's payload from being made.
func (p *udpProber) checkPayload(t *muster.Target) *defect {
	_, err := p.appendPayload(nil, t)
	if err == nil {
		return nil
	}
	if _, missing := errors.AsType[*vars.MissingError](err); missing {
		return expansionDefect(err)
	}
	return &defect{"invalid payload", err}
}

func (p *udpProber) exchange() packetExchange { return &udpExchange{p: p} }

func (p *udpProber) setup() packetSetup {
	return packetSetup{dialer: p.env.Dialer, timeout: p.env.Timeout, largest: 1<<16 - 1}
}

func (p *udpProber) wire() packetWire { return &udpWire{dialer: p.env.Dialer} }

// udpExchange is one datagram and what has come back of it.
type udpExchange struct {
	p      *udpProber
	t      *muster.Target
	tries  int
	at     time.Duration // when the last datagram left
	n      int           // replies
	first  time.Duration // from the datagram to the first
	body   []byte
	cut    bool
	over   bool // the limit
	seen   *uint32
	before uint32 // of seen
}

// observe has the exchange know how many datagrams came from addresses that were not asked.
func (x *udpExchange) observe(strays *uint32) { x.seen = strays }

func (x *udpExchange) begin(t *muster.Target, _ *muster.Result, _ uint16) packetStep {
	*x = udpExchange{p: x.p, t: t, seen: x.seen}
	if x.seen != nil {
		x.before = *x.seen
	}
	return packetStep{packetSend, x.p.patience.after(0)}
}

// payload cannot fail: locate has made it once.
func (x *udpExchange) payload(b []byte) []byte {
	b, _ = x.p.appendPayload(b, x.t)
	return b
}

func (x *udpExchange) sent(at time.Duration) {
	x.at = at
	x.tries++
}

// received keeps one reply. Once there is one, nothing is sent again.
func (x *udpExchange) received(a *arrival, r *muster.Result) packetStep {
	if a.err != nil {
		if x.n == 0 {
			fail(r, a.err)
			x.note(r)
			return packetStep{do: packetDone}
		}
		return x.done(r)
	}
	if x.n++; x.n == 1 {
		x.first = max(a.at-x.at, 1)
	}
	x.keep(a.data)
	if x.over || x.n >= x.p.replies {
		return x.done(r)
	}
	if x.p.spec.Idle > 0 {
		return packetStep{packetStay, time.Duration(x.p.spec.Idle)}
	}
	return packetStep{packetStay, x.p.env.Timeout} // the rest of the attempt
}

// keep adds a reply to the body, of several each on a line of its own.
func (x *udpExchange) keep(b []byte) {
	if n := len(x.body); n > 0 && x.body[n-1] != '\n' {
		x.body = append(x.body, '\n')
	}
	if room := x.p.limit - len(x.body); len(b) > room {
		x.over = !x.p.spec.Truncate
		x.cut, b = true, b[:max(room, 0)]
	}
	x.body = append(x.body, b...)
}

func (x *udpExchange) expired(_ time.Duration, r *muster.Result) packetStep {
	if x.n == 0 && x.tries < x.p.patience.tries {
		return packetStep{packetSend, x.p.patience.after(x.tries)}
	}
	return x.done(r)
}

func (x *udpExchange) done(r *muster.Result) packetStep {
	x.finish(r)
	return packetStep{do: packetDone}
}

// finish says how the exchange went.
func (x *udpExchange) finish(r *muster.Result) {
	r.Timings.FirstByte = x.first
	switch {
	case x.over:
		fail(r, errTooLarge)
	case x.n > 0:
		x.answered(r)
	default:
		noReply(r, silence(x.tries, time.Since(r.Started)))
	}
	x.note(r)
}

func (x *udpExchange) answered(r *muster.Result) {
	r.Outcome, r.Status, r.Truncated = muster.OK, "reply", x.cut
	if !x.p.env.DiscardBody {
		r.Body = x.body
	}
	if want := x.p.spec.Replies; x.n < want {
		r.Outcome, r.Reason = muster.Unexpected, "too few replies"
		r.Detail = fmt.Sprintf("%d of %d datagrams came", x.n, want)
		r.Transient = true
	}
}

// note fills in the fields, of a failure only what sheds light on it.
func (x *udpExchange) note(r *muster.Result) {
	strays := uint32(0)
	if x.seen != nil {
		strays = *x.seen - x.before
	}
	if r.Outcome.Answered() || strays > 0 {
		r.Fields = []muster.Field{{Name: "replies", Value: float64(x.n)}, {Name: "strays", Value: float64(strays)}}
	}
}

func (x *udpExchange) aside(context.Context, *muster.Result) {}

// Check reports why t would end invalid.
func (p *udpProber) Check(t *muster.Target) error {
	if _, d := p.locate(t); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the payload after a line with its destination. What is no text is escaped.
func (p *udpProber) Preview(t *muster.Target) (string, error) {
	route, d := p.locate(t)
	if d != nil {
		return "", d.err
	}
	datagram, err := p.appendPayload(nil, t)
	if p.payload != nil && p.payload.Secret() {
		datagram, err = expand(nil, p.payload, t, true)
	}
	return previewHead("udp", t, route.port) + string(appendEscaped(nil, datagram)), err
}

// previewHead is the line that says where an exchange goes.
func previewHead(transport string, t *muster.Target, port uint16) string {
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("# %s %s:%d\n", transport, host, port)
}
