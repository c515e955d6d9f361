package sim

import (
	"strconv"
	"time"
)

const (
	maxPacket    = 65507 // bytes of payload that one UDP datagram carries
	endlessCount = 1000  // datagrams of an address that never stops; nothing tells when its client is gone
	endlessPace  = time.Millisecond
	dripCount    = 64 // datagrams of a dripping address
)

// volley is the answer to a datagram: what, cut into datagrams, is sent when.
type volley struct {
	delay   time.Duration
	pace    time.Duration // between datagrams
	out     []byte        // aliases the scratch space it was made in
	cut     int           // bytes of each datagram; 0 is all in one
	count   int           // datagrams; 0 is silence
	stray   bool          // the first comes from an address that was not asked
	refused bool          // ICMP says that nobody listens
}

// whole is an answer of one datagram.
func whole(out []byte) volley { return volley{out: out, count: 1} }

// datagram is datagram i of the volley; the last of cut ones repeat.
func (v *volley) datagram(i int) []byte {
	if v.cut == 0 {
		return v.out
	}
	start := min(i*v.cut, (len(v.out)-1)/v.cut*v.cut)
	return v.out[start:min(start+v.cut, len(v.out))]
}

// pieces is how many datagrams a cut answer needs.
func (v *volley) pieces() int { return (len(v.out) + v.cut - 1) / v.cut }

// echoPacket plans the UDP service's answer to a datagram that is number n at its address.
func (s *script) echoPacket(w *scratch, ep *endpoint, payload []byte, n uint64) volley {
	c := s.choose(ep, nil)
	c.served.Add(1)
	a := answering{scratch: w, script: s, b: &c.Behaviour, instance: instance{seed: s.seed, ep: *ep, n: n}}
	v := a.echoed(payload)
	v.delay = s.delay(&c.Behaviour, ep)
	return v
}

func (a *answering) echoed(payload []byte) volley {
	status, fails := a.fails()
	if fails && a.b.Kind != Status {
		return volley{} // lost
	}
	a.out = a.out[:0]
	if fails {
		a.out = append(strconv.AppendInt(a.out, int64(status), 10), ' ')
	}
	a.out = append(a.ep.addr.Addr().AppendTo(a.out), ' ')
	a.out = append(a.out, payload...)
	a.out = a.out[:min(len(a.out), maxPacket)]
	return a.spoil(whole(a.out))
}

// spoil makes of a good answer what the behaviour makes of it.
func (a *answering) spoil(v volley) volley {
	switch a.b.Kind {
	case Hang, HangBody, CloseBefore:
		return volley{}
	case Reset:
		return volley{refused: true}
	case Garbage:
		a.out = a.garbage().out
		return whole(a.out[:min(len(a.out), maxPacket)])
	case CloseEarly:
		v.out = v.out[:len(v.out)/2]
	case Chunked:
		v.cut = max(1, (len(v.out)+1)/2)
		v.count = v.pieces()
	case Drip:
		v.cut, v.pace = 1, a.b.Interval
		v.count = min(v.pieces(), dripCount)
	case Endless:
		v.count, v.pace = endlessCount, endlessPace
	case Oversized:
		for size := int(min(a.b.Size, maxPacket)); len(a.out) < size; {
			a.out = append(a.out, fillerBody[:min(len(fillerBody), size-len(a.out))]...)
		}
		v.out = a.out
	case Conflict:
		// Of the id or the question the answer is wrong already, and comes from the right address.
		v.stray, v.count = a.b.Where == "" || a.b.Where == "chunked", 1
		if a.b.Where == "chunked" {
			v.count = 2
		}
	}
	return v
}
