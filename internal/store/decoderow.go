package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/musterhq/muster"
)

// result returns row i without target id and body.
func (o *openSegment) result(i int) muster.Result {
	w, h := &o.rows[i], &o.head
	r := muster.Result{
		Index:   h.index[i],
		Outcome: muster.Outcome(h.outcomes[i]), Failure: muster.Failure(h.failures[i]), Code: h.codes[i],
		Status: o.strings[w.status], Reason: o.strings[w.reason], Detail: o.strings[w.detail],
		Address: w.address, Attempts: int(w.attempts),
		Timings: muster.Timings{
			Resolve: fromMicros(w.timings[0]), Connect: fromMicros(w.timings[1]), TLS: fromMicros(w.timings[2]),
			FirstByte: fromMicros(w.timings[3]), Total: fromMicros(w.timings[4]),
		},
		Truncated: w.flags&flagTruncated != 0, Transient: w.flags&flagTransient != 0,
		Sent: w.flags&flagSent != 0, Pushback: w.flags&flagPushback != 0,
	}
	if w.flags&flagStarted != 0 {
		r.Started = time.UnixMicro(w.started).UTC()
	}
	r.Fields, r.Header = o.fields(w), o.header(w)
	return r
}

func (o *openSegment) fields(w *row) []muster.Field {
	names := o.shapes[w.fields]
	if len(names) == 0 {
		return nil
	}
	fs := make([]muster.Field, len(names))
	in := textScanner{o.values[0][w.fieldAt:]}
	for i, n := range names {
		fs[i] = muster.Field{Name: n, Value: in.value()}
	}
	return fs
}

func (o *openSegment) header(w *row) []muster.HeaderField {
	names := o.shapes[w.header]
	if len(names) == 0 {
		return nil
	}
	hs := make([]muster.HeaderField, len(names))
	in := textScanner{o.values[1][w.headAt:]}
	for i, n := range names {
		hs[i] = muster.HeaderField{Name: n, Value: in.text()}
	}
	return hs
}

// textScanner reads values that skipValue has already found whole, without copying.
type textScanner struct{ s string }

func (t *textScanner) uint() uint64 {
	v, shift := uint64(0), 0
	for i := range len(t.s) {
		c := t.s[i]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			t.s = t.s[i+1:]
			return v
		}
		shift += 7
	}
	return 0
}

func (t *textScanner) text() string {
	n := t.uint()
	v := t.s[:n]
	t.s = t.s[n:]
	return v
}

func (t *textScanner) value() any {
	tag := t.s[0]
	t.s = t.s[1:]
	switch tag {
	case tagFalse, tagTrue:
		return tag == tagTrue
	case tagInt:
		v := t.uint()
		return float64(int64(v>>1) ^ -int64(v&1))
	case tagFloat:
		v := math.Float64frombits(binary.LittleEndian.Uint64([]byte(t.s[:8])))
		t.s = t.s[8:]
		return v
	case tagString:
		return t.text()
	}
	return nil
}

// smallBody returns a copy of body n, which is a small one.
func (o *openSegment) smallBody(n int) ([]byte, error) {
	b := &o.bodies[n]
	k := &o.blocks[b.block]
	if k.data == nil {
		data, err := o.p.unpackMax(k.packed, uint64(k.raw))
		if err != nil || len(data) != k.raw {
			return nil, errCorrupt
		}
		k.data = data
	}
	return bytes.Clone(k.data[b.at : b.at+b.len]), nil
}
