package sim

import (
	"bytes"
	"strconv"
)

// maxTextLine bounds a line of the TCP service; a longer one is answered in pieces.
const maxTextLine = 4 << 10

// feedText consumes bytes up to the end of a line of the TCP service.
func (p *parser) feedText(data []byte) (used int, done bool) {
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 {
		end = len(data)
	}
	end = min(end, maxTextLine-len(p.head))
	p.head = append(p.head, data[:end]...)
	if len(p.head) < maxTextLine && !bytes.HasSuffix(p.head, []byte{'\n'}) {
		return end, false
	}
	p.rq.line = bytes.TrimRight(p.head, "\r\n")
	return end, true
}

// greet plans the banner of a fresh connection of the TCP service. A behaviour that spoils what
// an address says shows here, one that spoils its answer to a request in the answers to lines.
func (s *script) greet(w *scratch, ep *endpoint) plan {
	c := s.choose(ep, nil)
	c.served.Add(1)
	a := answering{scratch: w, script: s, b: &c.Behaviour, instance: instance{seed: s.seed, ep: *ep}}
	p := a.banner()
	p.delay = s.delay(&c.Behaviour, ep)
	return p
}

func (a *answering) banner() plan {
	code := 220
	if a.b.Kind == Status {
		code = a.b.Status
	}
	a.word(strconv.Itoa(code))
	a.out = append(a.out, "muster-sim ready\r\n"...)
	p := plan{out: a.out}
	half := a.out[:len(a.out)/2]
	switch a.b.Kind {
	case Reset:
		if a.b.Where == "body" {
			p = plan{out: half, end: endRST}
		}
	case HangBody:
		p = plan{out: half, end: endHang}
	case CloseEarly:
		p = plan{out: half, end: endFIN}
	case Garbage:
		p = a.garbage()
	case Drip:
		p.pace = a.b.Interval
	case Oversized:
		p.filler, p.fill = fillerBody, a.b.Size
	case Endless:
		p.filler, p.fill, p.end = fillerLine, -1, endFIN
	}
	return p
}

// fillerLine never ends its line.
var fillerLine = bytes.Repeat([]byte("all work and no play makes fleet a dull sim, "), 1<<14/45)

// answerLine plans the answer to a line that is number n at its address.
func (s *script) answerLine(w *scratch, ep *endpoint, line []byte, n uint64) plan {
	c := s.choose(ep, nil)
	a := answering{
		scratch: w, script: s, b: &c.Behaviour, close: s.once || c.Kind == Once,
		instance: instance{seed: s.seed, ep: *ep, n: n},
	}
	p := a.line(line)
	p.delay = s.delay(&c.Behaviour, ep)
	return p
}

func (a *answering) line(line []byte) plan {
	switch a.b.Kind {
	case Hang:
		return plan{end: endHang}
	case Reset:
		return plan{end: endRST}
	case CloseBefore:
		return plan{end: endFIN}
	}
	if string(line) == "QUIT" {
		a.word("221")
		a.out = append(a.out, "bye\r\n"...)
		return plan{out: a.out, end: endFIN}
	}
	word := "OK"
	if status, fails := a.fails(); fails {
		word = strconv.Itoa(status)
	}
	a.word(word)
	a.out = append(append(a.out, line...), "\r\n"...)
	p := plan{out: a.out, end: a.ending()}
	if a.b.Kind == Drip {
		p.pace = a.b.Interval
	}
	return p
}

// fails is the status of this answer if the behaviour makes it a failure.
func (a *answering) fails() (int, bool) {
	switch a.b.Kind {
	case Status:
		return a.b.Status, true
	case Flaky:
		return a.b.Status, unit(draw(a.script.seed, a.ep.key+a.n<<1, saltFlaky)) < a.b.Share
	case Warmup:
		return a.b.Status, a.n <= uint64(a.b.Count)
	}
	return 0, false
}

// word starts an answer with a word and the address.
func (a *answering) word(w string) {
	a.out = append(append(a.out[:0], w...), ' ')
	a.out = append(a.ep.addr.Addr().AppendTo(a.out), ' ')
}
