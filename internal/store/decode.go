package store

import (
	"encoding/binary"
	"net/netip"

	"github.com/musterhq/muster"
)

// maxHead is more than the longest head: four columns of varints.
const maxHead = 32 * segmentRows

// headColumns are the columns of a segment's head.
type headColumns struct {
	index    []int
	outcomes []byte
	failures []byte
	codes    []int
}

// openHead reads the head of a segment of n targets in the job.
func (p *packer) openHead(packed []byte, targets int) (headColumns, error) {
	raw, err := p.unpackMax(packed, maxHead)
	if err != nil {
		return headColumns{}, err
	}
	s := scanner{b: raw}
	version, n := s.byte(), s.count()
	if s.bad || version != segmentVersion || n > segmentRows {
		return headColumns{}, errCorrupt
	}
	h := headColumns{index: make([]int, n), codes: make([]int, n)}
	idx := int64(0)
	for i := range h.index {
		idx += s.int()
		if idx < 0 || idx >= int64(targets) {
			return headColumns{}, errCorrupt
		}
		h.index[i] = int(idx)
	}
	h.outcomes, h.failures = s.take(uint64(n)), s.take(uint64(n))
	for i := range h.codes {
		h.codes[i] = int(s.int())
	}
	if s.bad || !within(h.outcomes, muster.NumOutcomes) || !within(h.failures, muster.NumFailures) {
		return headColumns{}, errCorrupt
	}
	return h, nil
}

func within(b []byte, n int) bool {
	for _, v := range b {
		if int(v) >= n {
			return false
		}
	}
	return true
}

// row is what a segment's columns say about one result, by reference.
type row struct {
	status, reason, detail uint64
	flags                  byte
	address                netip.AddrPort
	started                int64
	timings                [5]uint64
	attempts               uint64
	fields, header         uint64 // shapes
	fieldAt, headAt        int    // where the values are
	body                   int    // number in bodies, or -1
}

// bodySpan is one distinct body of a segment.
type bodySpan struct {
	large bool
	len   int
	at    int // small: offset in its block; large: number among the large ones
	block int
}

// bodyBlock is one packed block of small bodies.
type bodyBlock struct {
	raw    int
	packed []byte
	data   []byte // unpacked on first use
}

// openSegment is a segment whose columns have been read. It is not safe for concurrent use.
type openSegment struct {
	p       *packer
	head    headColumns
	text    string // all of rest; the strings below are parts of it
	strings []string
	shapes  [][]string
	rows    []row
	values  [2]string // colFieldValue and colHeadValue
	bodies  []bodySpan
	blocks  []bodyBlock
	refs    []int
}

// open reads all columns of s. Bodies stay packed until they are asked for, which
// needs withBodies and s.bodies.
func (p *packer) open(s segment, head headColumns, withBodies bool) (*openSegment, error) {
	raw, err := p.unpack(s.rest)
	if err != nil {
		return nil, err
	}
	o := &openSegment{p: p, head: head, text: string(raw)}
	var cols [numColumns][]byte
	var at [numColumns]int
	in := scanner{b: raw}
	for i := range cols {
		cols[i] = in.text()
		at[i] = len(raw) - len(in.b) - len(cols[i])
	}
	if in.bad {
		return nil, errCorrupt
	}
	o.values[0] = o.text[at[colFieldValue]:][:len(cols[colFieldValue])]
	o.values[1] = o.text[at[colHeadValue]:][:len(cols[colHeadValue])]
	refs := scanner{b: s.refs}
	if len(s.refs) > 0 {
		o.refs = refs.deltas(nil)
	}
	ok := !refs.bad && o.readStrings(cols[colStrings], at[colStrings]) && o.readShapes(cols[colShapes]) &&
		o.readBodies(cols[colBodies], cols[colBlocks], s.bodies, withBodies) && o.readRows(&cols)
	if !ok {
		return nil, errCorrupt
	}
	return o, nil
}

func (o *openSegment) readStrings(col []byte, base int) bool {
	in := scanner{b: col}
	o.strings = append(o.strings, "")
	for len(in.b) > 0 {
		t := in.text()
		end := base + len(col) - len(in.b)
		if in.bad {
			return false
		}
		o.strings = append(o.strings, o.text[end-len(t):end])
	}
	return true
}

func (o *openSegment) readShapes(col []byte) bool {
	in := scanner{b: col}
	o.shapes = append(o.shapes, nil)
	for len(in.b) > 0 {
		names := make([]string, in.count())
		for i := range names {
			ref := in.uint()
			if ref >= uint64(len(o.strings)) {
				return false
			}
			names[i] = o.strings[ref]
		}
		if in.bad {
			return false
		}
		o.shapes = append(o.shapes, names)
	}
	return true
}

func (o *openSegment) readBodies(lens, blocks, packed []byte, withBodies bool) bool {
	in, data := scanner{b: blocks}, scanner{b: packed}
	for len(in.b) > 0 {
		raw := in.uint()
		n := in.uint()
		var b []byte
		if withBodies {
			b = data.take(n)
		}
		if in.bad || data.bad || raw > blockSize+smallBody {
			return false
		}
		o.blocks = append(o.blocks, bodyBlock{raw: int(raw), packed: b})
	}
	block, at, large := 0, 0, 0
	for in = (scanner{b: lens}); len(in.b) > 0; {
		v := in.uint()
		b := bodySpan{large: v&1 != 0, len: int(v >> 1)}
		if b.large {
			b.at = large
			large++
		} else {
			for block < len(o.blocks) && at == o.blocks[block].raw {
				block, at = block+1, 0
			}
			if block == len(o.blocks) || b.len > o.blocks[block].raw-at {
				return false
			}
			b.block, b.at = block, at
			at += b.len
		}
		if in.bad || b.len < 0 {
			return false
		}
		o.bodies = append(o.bodies, b)
	}
	return large == len(o.refs)
}

func (o *openSegment) readRows(cols *[numColumns][]byte) bool {
	var in [numColumns]scanner
	for i, c := range cols {
		in[i].b = c
	}
	o.rows = make([]row, len(o.head.index))
	next, started := 0, int64(0)
	for i := range o.rows {
		w := &o.rows[i]
		w.status, w.reason, w.detail = in[colStatus].uint(), in[colReason].uint(), in[colDetail].uint()
		w.flags, w.attempts = in[colFlags].byte(), in[colAttempts].uint()
		w.address = o.readAddress(&in[colAddress])
		if w.flags&flagStarted != 0 {
			started += in[colStarted].int()
			w.started = started
		}
		for k := range w.timings {
			w.timings[k] = in[colResolve+k].uint()
		}
		w.fields, w.header = in[colFieldShape].uint(), in[colHeadShape].uint()
		most := uint64(len(o.strings))
		if max(w.status, w.reason, w.detail) >= most || max(w.fields, w.header) >= uint64(len(o.shapes)) {
			return false
		}
		w.fieldAt = len(cols[colFieldValue]) - len(in[colFieldValue].b)
		// A value takes a byte at least; a shape that asks for more than there is must not be walked, row after row.
		if len(o.shapes[w.fields]) > len(in[colFieldValue].b) || len(o.shapes[w.header]) > len(in[colHeadValue].b) {
			return false
		}
		for range o.shapes[w.fields] {
			skipValue(&in[colFieldValue])
		}
		w.headAt = len(cols[colHeadValue]) - len(in[colHeadValue].b)
		for range o.shapes[w.header] {
			in[colHeadValue].text()
		}
		w.body, next = o.bodyNumber(in[colBody].uint(), next)
		if w.body >= len(o.bodies) {
			return false
		}
	}
	for i := range in {
		if in[i].bad {
			return false
		}
	}
	return true
}

func (o *openSegment) bodyNumber(v uint64, next int) (body, after int) {
	switch {
	case v == 0:
		return -1, next
	case v == 1:
		return next, next + 1
	case v-2 < uint64(next):
		return int(v - 2), next
	}
	return len(o.bodies), next // refused by the caller
}

func (o *openSegment) readAddress(in *scanner) netip.AddrPort {
	var a netip.Addr
	switch kind := in.byte(); kind {
	case addrNone:
		return netip.AddrPort{}
	case addrV4:
		b := in.take(4)
		if in.bad {
			return netip.AddrPort{}
		}
		a = netip.AddrFrom4([4]byte(b))
	case addrV6, addrV6Zone:
		b := in.take(16)
		if in.bad {
			return netip.AddrPort{}
		}
		a = netip.AddrFrom16([16]byte(b))
		if kind == addrV6Zone {
			ref := in.uint()
			if ref >= uint64(len(o.strings)) {
				in.fail()
				return netip.AddrPort{}
			}
			a = a.WithZone(o.strings[ref])
		}
	default:
		in.fail()
	}
	port := in.take(2)
	if in.bad {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
}

func skipValue(in *scanner) {
	switch in.byte() {
	case tagNil, tagFalse, tagTrue:
	case tagInt:
		in.uint()
	case tagFloat:
		in.take(8)
	case tagString:
		in.text()
	default:
		in.fail()
	}
}
