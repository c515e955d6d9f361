package sim

import (
	"bytes"
	"encoding/binary"
)

// Record types and response codes of DNS (RFC 1035, 3596, 2782, 6891).
const (
	typeA, typeNS, typeCNAME, typeSOA, typePTR = 1, 2, 5, 6, 12
	typeMX, typeTXT, typeAAAA, typeSRV         = 15, 16, 28, 33
	typeOPT, typeANY                           = 41, 255
	classIN                                    = 1

	formErr, servFail, nxDomain, notImp = 1, 2, 3, 4
)

const (
	dnsHeader  = 12
	dnsTTL     = 300
	plainLimit = 512 // bytes of an answer over UDP to a client that does not tell its limit
	flagQR     = 1 << 15
	flagAA     = 1 << 10
	flagTC     = 1 << 9
	flagRD     = 1 << 8
	flagRA     = 1 << 7
	opcodeMask = 15 << 11
)

// query is a DNS question. Its slices alias the message.
type query struct {
	id, flags uint16
	question  []byte // the section as received
	name      []byte // in wire form
	qtype     uint16
	limit     int  // bytes that the client takes over UDP
	edns      bool // it told so
	rcode     int  // not 0 if it is no question that has an answer
}

// parseQuery reads a message; ok is false for what deserves no answer.
func parseQuery(m []byte) (q query, ok bool) {
	if len(m) < dnsHeader {
		return q, false
	}
	q.id, q.flags = binary.BigEndian.Uint16(m), binary.BigEndian.Uint16(m[2:])
	q.limit = plainLimit
	if q.flags&flagQR != 0 {
		return q, false
	}
	if q.flags&opcodeMask != 0 {
		q.rcode = notImp
		return q, true
	}
	n := nameLength(m[dnsHeader:])
	if binary.BigEndian.Uint16(m[4:]) != 1 || n == 0 || len(m) < dnsHeader+n+4 {
		q.rcode = formErr
		return q, true
	}
	q.question = m[dnsHeader : dnsHeader+n+4]
	q.name = q.question[:n]
	q.qtype = binary.BigEndian.Uint16(q.question[n:])
	q.readOPT(m[dnsHeader+n+4:], binary.BigEndian.Uint16(m[10:]))
	return q, true
}

// readOPT finds the client's limit in the additional section, which directly
// follows a question.
func (q *query) readOPT(rest []byte, count uint16) {
	if count > 0 && len(rest) >= 11 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == typeOPT {
		q.edns = true
		q.limit = max(plainLimit, int(binary.BigEndian.Uint16(rest[3:])))
	}
}

// nameLength is the size of an uncompressed name at the start of b, 0 if there is none.
func nameLength(b []byte) int {
	for i := 0; i < len(b) && i < 255; i += 1 + int(b[i]) {
		switch {
		case b[i] == 0:
			return i + 1
		case b[i] > 63:
			return 0
		}
	}
	return 0
}

// hashName is the same for names that differ in case only.
func hashName(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h)
}

// answerDNS writes the answer to message number n of an address, as far as it depends neither on
// UDP nor on TCP.
func (s *script) answerDNS(w *scratch, ep *endpoint, message []byte, n uint64) (a answering, q query, known bool) {
	c := s.choose(ep, nil)
	c.served.Add(1)
	a = answering{
		scratch: w, script: s, b: &c.Behaviour, close: s.once || c.Kind == Once,
		instance: instance{seed: s.seed, ep: *ep, n: n, version: c.Version},
	}
	q, known = parseQuery(message)
	a.out = a.out[:0]
	if known {
		a.resolve(&q)
	}
	return a, q, known
}

// dnsPacket plans the answer over UDP.
func (s *script) dnsPacket(w *scratch, ep *endpoint, message []byte, n uint64) volley {
	a, q, known := s.answerDNS(w, ep, message, n)
	if _, fails := a.fails(); !known || fails && a.b.Kind != Status {
		return volley{} // no question, or lost
	}
	if len(a.out) > q.limit || a.b.Kind == Chunked {
		a.truncate(&q)
	}
	v := whole(a.out)
	if a.b.Kind != Oversized && a.b.Kind != Chunked {
		v = a.spoil(v)
	}
	v.delay = s.delay(a.b, ep)
	return v
}

// resolve writes the answer to a question.
func (a *answering) resolve(q *query) {
	rcode := q.rcode
	if status, fails := a.fails(); fails && rcode == 0 {
		rcode = status
		if status > 15 {
			rcode = servFail // it is a status of another service
		}
	}
	if rcode == 0 && firstLabel(q.name, "nxdomain") {
		rcode = nxDomain
	}
	a.dnsHead(q, rcode)
	switch {
	case rcode != 0 && rcode != nxDomain:
	case a.b.Kind == Redirect:
		a.records(q, 8, typeNS)
	case rcode == nxDomain || firstLabel(q.name, "empty") || !a.records(q, 6, q.qtype):
		if len(q.question) > 0 {
			a.records(q, 8, typeSOA)
		}
	}
	if q.edns {
		a.record(10, []byte{0}, typeOPT, 1232, 0, nil)
	}
}

// dnsHead starts a message with its header and question.
func (a *answering) dnsHead(q *query, rcode int) {
	flags := uint16(flagQR|flagAA|flagRA) | q.flags&(opcodeMask|flagRD) | uint16(rcode)
	if a.b.Kind == Redirect {
		flags &^= flagAA
	}
	id, question := q.id, q.question
	if a.b.Where == "id" {
		id ^= 0x5555
	}
	a.out = binary.BigEndian.AppendUint16(a.out, id)
	a.out = binary.BigEndian.AppendUint16(a.out, flags)
	a.out = append(a.out, make([]byte, 8)...)
	if len(question) > 0 {
		a.out[5] = 1
	}
	a.out = append(a.out, question...)
	if a.b.Where == "question" && len(question) > 0 {
		if name := a.out[dnsHeader:]; name[0] > 0 {
			name[1] ^= 1 // the neighbouring letter
		} else {
			name[len(question)-3] ^= 1 // of the root, the neighbouring type
		}
	}
}

func firstLabel(name []byte, label string) bool {
	return len(name) > len(label) && int(name[0]) == len(label) && bytes.EqualFold(name[1:1+len(label)], []byte(label))
}

// truncate leaves of an answer only the word that TCP has all of it.
func (a *answering) truncate(q *query) {
	a.out = append(a.out[:dnsHeader], q.question...)
	a.out[2] |= flagTC >> 8
	clear(a.out[6:dnsHeader])
}

// framed is a DNS message as it goes over TCP.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))), message...)
}

// feedFrame consumes bytes up to the end of a DNS message over TCP.
func (p *parser) feedFrame(data []byte) (used int, done bool) {
	for used < len(data) {
		need := 2
		if len(p.head) >= 2 {
			need += int(binary.BigEndian.Uint16(p.head))
		}
		n := min(need-len(p.head), len(data)-used)
		p.head = append(p.head, data[used:used+n]...)
		used += n
		if len(p.head) >= 2 && len(p.head) == 2+int(binary.BigEndian.Uint16(p.head)) {
			p.rq.line = p.head[2:]
			return used, true
		}
	}
	return used, false
}

// dnsStream plans the answer over TCP.
func (s *script) dnsStream(w *scratch, ep *endpoint, message []byte, n uint64) plan {
	a, _, known := s.answerDNS(w, ep, message, n)
	p := plan{end: endFIN}
	if known {
		p = a.overStream()
	}
	p.delay = s.delay(a.b, ep)
	return p
}

func (a *answering) overStream() plan {
	p := plan{out: framed(a.out), end: a.ending()}
	switch a.b.Kind {
	case Hang:
		return plan{end: endHang}
	case CloseBefore:
		return plan{end: endFIN}
	case Reset:
		p.out, p.end = p.out[:len(p.out)/2], endRST
		if a.b.Where != "body" {
			p.out = nil
		}
	case HangBody:
		p.out, p.end = p.out[:len(p.out)/2], endHang
	case CloseEarly:
		p.out, p.end = p.out[:len(p.out)/2], endFIN
	case Drip:
		p.pace = a.b.Interval
	case Garbage:
		return a.garbage()
	case Endless:
		p.filler, p.fill, p.end = p.out, -1, endFIN
	}
	return p
}
