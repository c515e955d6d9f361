package sim

import (
	"strconv"
	"time"
)

// ending is what becomes of a connection after a plan's bytes.
type ending uint8

const (
	endKeep ending = iota // wait for the next request
	endFIN                // close in order
	endRST                // abort
	endHang               // keep silent until the client leaves
)

// plan is what a connection does next, free of how it is done: wait, send out
// (byte by byte if pace is set), then send filler, then end.
type plan struct {
	delay  time.Duration
	out    []byte // aliases the scratch space it was made in
	pace   time.Duration
	filler []byte // sent over and over until fill bytes are out
	fill   int64  // negative is for ever
	end    ending
}

// scratch is reusable space for the making of plans; one goroutine owns it.
type scratch struct {
	out, body []byte
}

// answer is the plan for a request that is number n at its address.
func (s *script) answer(w *scratch, ep *endpoint, rq *request, n uint64) plan {
	c := s.choose(ep, rq)
	c.served.Add(1)
	a := answering{
		scratch: w, script: s, rq: rq, b: &c.Behaviour,
		instance: instance{seed: s.seed, ep: *ep, n: n, rq: rq, version: c.Version},
		close:    rq.close || s.once || c.Kind == Once,
	}
	if a.version == "" {
		a.version = pick(s.versions, draw(s.seed, ep.key, saltVersion))
	}
	p := a.plan()
	p.delay = s.delay(&c.Behaviour, ep)
	return p
}

// delay is how long an address waits before it answers.
func (s *script) delay(b *Behaviour, ep *endpoint) time.Duration {
	if b.Delay == (Latency{}) {
		return 0
	}
	return b.Delay.at(unit(draw(s.seed, ep.key, saltLatency)), unit(draw(s.seed, ep.key, saltLatency2)))
}

// onAccept is the plan of a behaviour that shows before a request.
func (c *choice) onAcceptPlan() plan {
	c.served.Add(1)
	switch c.Kind {
	case Reset:
		return plan{end: endRST}
	case CloseBefore:
		return plan{end: endFIN}
	}
	return plan{end: endHang}
}

// answering is the state of making one plan.
type answering struct {
	*scratch
	*script
	instance
	rq    *request
	b     *Behaviour
	close bool
}

func (a *answering) plan() plan {
	switch a.b.Kind {
	case Reset:
		return a.cut(a.b.Where == "body", endRST)
	case Hang:
		return plan{end: endHang}
	case HangBody:
		return a.cut(true, endHang)
	case CloseEarly:
		return a.cut(true, endFIN)
	case CloseBefore:
		return plan{end: endFIN}
	case Drip:
		p := a.respond(200)
		p.pace = a.b.Interval
		return p
	case Garbage:
		return a.garbage()
	case Oversized:
		return a.oversized()
	case Endless:
		return a.endless()
	case Conflict:
		return a.conflict()
	case Chunked:
		return a.chunked()
	case Redirect:
		return a.redirect()
	}
	if status, fails := a.fails(); fails {
		if status < 200 {
			status = 500 // it is a status of another service
		}
		return a.respond(status)
	}
	return a.respond(200)
}

// ending is how a complete answer ends.
func (a *answering) ending() ending {
	if a.close {
		return endFIN
	}
	return endKeep
}

// respond is a whole, correctly framed answer with the fleet's body.
func (a *answering) respond(status int) plan {
	a.scratch.body = a.script.body.appendTo(a.scratch.body[:0], &a.instance)
	return a.respondWith(status, "application/json", a.scratch.body)
}

func (a *answering) respondWith(status int, contentType string, body []byte) plan {
	a.startHead(status)
	if status == 204 || status == 304 {
		body = nil
	} else {
		a.field("Content-Type", contentType)
		a.length(int64(len(body)))
	}
	a.endHead()
	if string(a.rq.method) != "HEAD" {
		a.out = append(a.out, body...)
	}
	return plan{out: a.out, end: a.ending()}
}

func (a *answering) startHead(status int) {
	a.out = append(a.out[:0], "HTTP/1.1 "...)
	a.out = strconv.AppendInt(a.out, int64(status), 10)
	a.out = append(a.out, ' ')
	a.out = append(a.out, reason(status)...)
	a.out = append(a.out, "\r\nServer: muster-sim\r\n"...)
}

func (a *answering) field(name, value string) {
	a.out = append(a.out, name...)
	a.out = append(a.out, ": "...)
	a.out = append(a.out, value...)
	a.out = append(a.out, "\r\n"...)
}

func (a *answering) length(n int64) {
	a.out = append(a.out, "Content-Length: "...)
	a.out = strconv.AppendInt(a.out, n, 10)
	a.out = append(a.out, "\r\n"...)
}

// endHead tells how the connection goes on and ends the head.
func (a *answering) endHead() {
	switch {
	case a.close:
		a.out = append(a.out, "Connection: close\r\n"...)
	case a.rq.http10:
		a.out = append(a.out, "Connection: keep-alive\r\n"...)
	}
	a.out = append(a.out, "\r\n"...)
}
