package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/musterhq/muster"
)

// noUsableAnswer is why a server that answers fails.
const noUsableAnswer = "no usable answer"

func (p *dnsProber) locate(t *muster.Target) (packetRoute, *defect) {
	port, d := p.place.locate(t)
	if d == nil && p.name != nil {
		_, d = p.question(nil, t)
	}
	return packetRoute{host: t.Host, addr: t.Addr, port: port}, d
}

func (p *dnsProber) exchange() packetExchange { return &dnsExchange{p: p} }

func (p *dnsProber) setup() packetSetup {
	return packetSetup{dialer: p.env.Dialer, timeout: p.env.Timeout, largest: 1<<16 - 1, keyed: true, repeats: true}
}

// wire has datagrams told apart by their ids.
func (p *dnsProber) wire() packetWire { return &udpWire{dialer: p.env.Dialer, key: dnsID} }

func dnsID(b []byte) (id uint16, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

// dnsExchange is one question over UDP.
type dnsExchange struct {
	p       *dnsProber
	query   []byte
	tries   int
	at      time.Duration // when the query left last
	garbage int
	last    string // why the last datagram was no answer
}

// begin cannot fail: locate has made the query once.
func (x *dnsExchange) begin(t *muster.Target, _ *muster.Result, key uint16) packetStep {
	query, _ := x.p.question(x.query[:0], t)
	*x = dnsExchange{p: x.p, query: query}
	binary.BigEndian.PutUint16(query, key)
	return packetStep{packetSend, x.p.patience.after(0)}
}

func (x *dnsExchange) payload(b []byte) []byte { return append(b, x.query...) }

func (x *dnsExchange) sent(at time.Duration) {
	x.at = at
	x.tries++
}

// received looks for the answer; what is none is only counted, so that nobody can end an exchange by garbage.
func (x *dnsExchange) received(a *arrival, r *muster.Result) packetStep {
	if a.err != nil {
		fail(r, a.err)
		return packetStep{do: packetDone}
	}
	why := mismatch(x.query, a.data)
	if why == "" {
		r.Timings.FirstByte = max(a.at-x.at, 1)
		if truncated(a.data) && !x.p.spec.NoTCP {
			return packetStep{do: packetLeave}
		}
		if x.p.readAnswer(a.data, r) {
			return packetStep{do: packetDone}
		}
		r.Timings.FirstByte = 0
		why = "malformed"
	}
	x.garbage++
	x.last = why
	return packetStep{}
}

func (x *dnsExchange) expired(_ time.Duration, r *muster.Result) packetStep {
	if x.tries < x.p.patience.tries {
		return packetStep{packetSend, x.p.patience.after(x.tries)}
	}
	x.finish(r)
	return packetStep{do: packetDone}
}

// finish says why there is no answer.
func (x *dnsExchange) finish(r *muster.Result) {
	if x.garbage == 0 {
		noReply(r, silence(x.tries, time.Since(r.Started)))
		return
	}
	fail(r, &fault{muster.FailProtocol, noUsableAnswer, fmt.Sprintf("%d datagrams that are no answer to this question came; the last one: %s", x.garbage, x.last), true})
}

// aside asks over TCP, because the answer over UDP was cut.
func (x *dnsExchange) aside(ctx context.Context, r *muster.Result) {
	first := r.Timings.FirstByte
	s := dnsStream{p: x.p, query: x.query}
	newID(s.query)
	s.ask(ctx, r)
	if r.Timings.FirstByte == 0 {
		r.Timings.FirstByte = first
	}
	if r.Outcome == muster.Failed {
		r.Detail = "the answer over UDP was truncated; then over TCP: " + r.Detail
	}
	for i := range r.Fields {
		if r.Fields[i].Name == "tc" {
			r.Fields[i].Value = true
		}
	}
}
