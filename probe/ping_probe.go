package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/musterhq/muster"
)

// pingProber is a compiled [Ping].
type pingProber struct {
	spec   Ping // with defaults
	env    Env
	filler []byte // of the payload, behind what recognises a reply
}

// Prober compiles the spec. Where this process may not send ICMP at all the error says what would permit it.
func (s Ping) Prober(env Env) (muster.Prober, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if env.Timeout == 0 {
		env.Timeout = s.Traits().Timeout
	}
	s = s.withDefaults()
	p := &pingProber{spec: s, env: env.withDefaults(true), filler: make([]byte, s.Size-minPingSize)}
	for i := range p.filler {
		p.filler[i] = byte(minPingSize + i)
	}
	return p, p.permitted()
}

var (
	_ packetKind = (*pingProber)(nil)
	_ Checker    = (*pingProber)(nil)
	_ Previewer  = (*pingProber)(nil)
)

func (p *pingProber) locate(t *muster.Target) (packetRoute, *defect) {
	if t.Host == "" {
		return packetRoute{}, &defect{"invalid host", muster.Errorf(muster.KindInvalid, "%s: no host to ping", t.ID)}
	}
	return packetRoute{host: t.Host, addr: t.Addr}, nil
}

func (p *pingProber) exchange() packetExchange { return &pingExchange{p: p} }

// largestHeaders are in front of the payload: of a reply, or of an error and what it quotes.
const largestHeaders = 256

func (p *pingProber) setup() packetSetup {
	return packetSetup{dialer: p.env.Dialer, timeout: p.env.Timeout, largest: p.spec.Size + largestHeaders, keyed: true, repeats: true}
}

// Check reports a target without a host.
func (p *pingProber) Check(t *muster.Target) error {
	if _, d := p.locate(t); d != nil {
		return d.err
	}
	return nil
}

// Preview says what would be sent.
func (p *pingProber) Preview(t *muster.Target) (string, error) {
	if err := p.Check(t); err != nil {
		return "", err
	}
	s := p.spec
	text := fmt.Sprintf("ICMP echo request to %s with %d bytes", t.Host, s.Size)
	if s.TTL > 0 {
		text += fmt.Sprintf(", ttl %d", s.TTL)
	}
	if s.DontFragment {
		text += ", not to be fragmented"
	}
	if s.Count > 0 {
		return fmt.Sprintf("%s, %d times every %v, each waits %v\n", text, s.Count, time.Duration(s.Interval), time.Duration(s.Wait)), nil
	}
	return fmt.Sprintf("%s, up to %d times, waits %v and then %v times as long\n", text, s.Tries, time.Duration(s.Wait), s.Backoff), nil
}

// pingExchange is the exchange with one target. Each of its requests bears another number.
type pingExchange struct {
	p       *pingProber
	nonce   uint64 // of the first request; the next ones count up
	n       int    // requests that have left
	lost    int    // of them those whose replies may have found no room here
	wait    time.Duration
	resting bool                      // the last request has its end, and the next is not due
	at      [pingMemory]time.Duration // when the last requests left, by number
	first   time.Duration
	stats   pingStats
	ttl     int
	refused *fault // the network's last word
}

// pingMemory is how many requests may still be answered: replies to older ones are ignored.
const pingMemory = 4

var _ packetExchange = (*pingExchange)(nil)

func (x *pingExchange) begin(*muster.Target, *muster.Result, uint16) packetStep {
	*x = pingExchange{p: x.p, nonce: rand.Uint64(), wait: time.Duration(x.p.spec.Wait)}
	return packetStep{packetSend, x.wait}
}

func (x *pingExchange) payload(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, x.nonce+uint64(x.n))
	return append(b, x.p.filler...)
}

func (x *pingExchange) sent(at time.Duration) {
	if x.n == 0 {
		x.first = at
	}
	x.at[x.n%pingMemory] = at
	x.n++
	x.resting = false
}

func (x *pingExchange) forget() bool {
	if !x.resting {
		x.lost++
	}
	return !x.resting
}

func (x *pingExchange) received(a *arrival, r *muster.Result) packetStep {
	counting := x.p.spec.Count > 0
	if a.err != nil {
		x.refused = a.err
		if !counting || x.n == 0 {
			return a.err.fails(r)
		}
		if x.resting {
			return packetStep{}
		}
		return x.rest(a.at, r)
	}
	number, ok := x.number(a.data)
	if !ok || counting && (number != x.n-1 || x.resting) {
		return packetStep{} // of an earlier run, a duplicate, or too late
	}
	x.ttl = a.ttl
	x.stats.add(max(a.at-x.at[number%pingMemory], 1))
	if counting {
		return x.rest(a.at, r)
	}
	x.finish(r)
	return packetStep{do: packetDone}
}

// number returns which request a payload replies to.
func (x *pingExchange) number(data []byte) (int, bool) {
	if len(data) < minPingSize {
		return 0, false
	}
	k := binary.BigEndian.Uint64(data) - x.nonce
	return int(k), k < uint64(x.n) && x.n-int(k) <= pingMemory
}

// rest waits until the next of Count is due, once the last has its end.
func (x *pingExchange) rest(at time.Duration, r *muster.Result) packetStep {
	if x.n-x.lost >= x.p.spec.Count {
		x.finish(r)
		return packetStep{do: packetDone}
	}
	due := x.at[(x.n-1)%pingMemory] + time.Duration(x.p.spec.Interval)
	if due <= at {
		return packetStep{packetSend, x.wait}
	}
	x.resting = true
	return packetStep{packetStay, due - at}
}

func (x *pingExchange) expired(at time.Duration, r *muster.Result) packetStep {
	switch {
	case x.resting:
		return packetStep{packetSend, x.wait}
	case x.p.spec.Count > 0:
		return x.rest(at, r)
	case x.n-x.lost < x.p.spec.Tries:
		x.wait = time.Duration(float64(x.wait) * x.p.spec.Backoff)
		return packetStep{packetSend, x.wait}
	}
	x.finish(r)
	return packetStep{do: packetDone}
}

// finish makes r the result of what has come back.
func (x *pingExchange) finish(r *muster.Result) {
	switch {
	case x.stats.n > 0:
		r.Outcome, r.Status = muster.OK, "echo reply"
		r.Timings.FirstByte, r.Timings.Total = x.stats.mean(), x.stats.mean()
	case x.refused != nil:
		fail(r, x.refused)
	case x.n == 1:
		noReply(r, "no reply to an echo request")
	default:
		noReply(r, fmt.Sprintf("no reply to %d echo requests", x.n))
	}
	switch {
	case x.p.spec.Count > 0:
		r.Fields = x.stats.count(x.n-x.lost, x.ttl)
	case x.stats.n > 0:
		r.Fields = x.stats.reply(x.n, x.ttl)
	}
}

func (x *pingExchange) aside(context.Context, *muster.Result) {}
