package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/musterhq/muster"
)

// bodyHash names a large body.
type bodyHash [16]byte

func hashBody(b []byte) bodyHash {
	sum := sha256.Sum256(b)
	return bodyHash(sum[:16])
}

// largeBody is a body that gets a row of its own.
type largeBody struct {
	hash bodyHash
	data []byte // belongs to the result
}

// segmentEncoder turns results into a segment: add until it says that it is
// full, then seal. It is reused; not safe for concurrent use.
type segmentEncoder struct {
	p        *packer
	rows     int
	outcomes int64
	head     [4][]byte // index, outcome, failure, code
	cols     [numColumns][]byte
	prevIdx  int
	prevTime int64
	strings  dictionary
	shapes   dictionary
	lastCell [3]cell
	lastName [2]nameCache
	bodies   bodyTable
	large    []largeBody
	scratch  []byte
	size     int
}

// cell caches the last string of a column: results come in runs of equals.
type cell struct {
	s   string
	ref uint64
}

// nameCache caches the last list of names.
type nameCache struct {
	names []string
	ref   uint64
}

// dictionary numbers byte strings from 1 in the order of their first use.
type dictionary struct{ refs map[string]uint64 }

func (d *dictionary) add(key string) (ref uint64, fresh bool) {
	if ref, ok := d.refs[key]; ok {
		return ref, false
	}
	if d.refs == nil {
		d.refs = map[string]uint64{}
	}
	ref = uint64(len(d.refs) + 1)
	d.refs[key] = ref
	return ref, true
}

// bodyTable holds the distinct bodies of a segment.
type bodyTable struct {
	seed   maphash.Seed
	refs   map[uint64]smallRef
	hashes map[bodyHash]uint64
	raw    []byte // the small ones of this segment, one after the other
	ends   []int  // ends of the blocks in raw
	count  uint64
}

type smallRef struct{ ref, at, len uint64 }

func newSegmentEncoder(p *packer) *segmentEncoder {
	e := &segmentEncoder{p: p}
	e.bodies.seed = maphash.MakeSeed()
	e.reset()
	return e
}

func (e *segmentEncoder) reset() {
	e.rows, e.outcomes, e.prevIdx, e.prevTime, e.size = 0, 0, 0, 0, 0
	for i := range e.head {
		e.head[i] = e.head[i][:0]
	}
	for i := range e.cols {
		e.cols[i] = e.cols[i][:0]
	}
	clear(e.strings.refs)
	clear(e.shapes.refs)
	clear(e.large)
	e.large = e.large[:0]
	e.lastCell, e.lastName = [3]cell{}, [2]nameCache{}
	b := &e.bodies
	clear(b.refs)
	clear(b.hashes)
	b.raw, b.ends, b.count = b.raw[:0], b.ends[:0], 0
}

// full reports whether the segment must be sealed before another row.
func (e *segmentEncoder) full() bool {
	return e.rows == segmentRows || e.size >= segmentText || len(e.bodies.raw) >= segmentBodies
}

// add appends one row. withBody false leaves the body out.
func (e *segmentEncoder) add(r *muster.Result, withBody bool) {
	e.rows++
	e.outcomes |= 1 << r.Outcome
	e.head[0] = appendInt(e.head[0], int64(r.Index-e.prevIdx))
	e.prevIdx = r.Index
	e.head[1] = append(e.head[1], byte(r.Outcome))
	e.head[2] = append(e.head[2], byte(r.Failure))
	e.head[3] = appendInt(e.head[3], int64(r.Code))

	e.text(colStatus, 0, r.Status)
	e.text(colReason, 1, r.Reason)
	e.text(colDetail, 2, r.Detail)
	e.flags(r)
	e.address(r)
	e.times(r)
	e.put(colAttempts, uint64(r.Attempts))
	e.fields(r.Fields)
	e.header(r.Header)
	if withBody {
		e.body(r.Body)
	} else {
		e.body(nil)
	}
}

func (e *segmentEncoder) put(col int, v uint64) { e.cols[col] = appendUint(e.cols[col], v) }

func (e *segmentEncoder) text(col, cache int, s string) {
	c := &e.lastCell[cache]
	if c.s != s {
		c.s, c.ref = s, e.intern(s)
	}
	e.put(col, c.ref)
}

// intern returns the number of s, 0 for "".
func (e *segmentEncoder) intern(s string) uint64 {
	if s == "" {
		return 0
	}
	ref, fresh := e.strings.add(s)
	if fresh {
		e.cols[colStrings] = appendText(e.cols[colStrings], s)
		e.size += len(s)
	}
	return ref
}

func (e *segmentEncoder) flags(r *muster.Result) {
	var f byte
	set := func(on bool, bit byte) {
		if on {
			f |= bit
		}
	}
	set(!r.Started.IsZero(), flagStarted)
	set(r.Truncated, flagTruncated)
	set(r.Transient, flagTransient)
	set(r.Sent, flagSent)
	set(r.Pushback, flagPushback)
	e.cols[colFlags] = append(e.cols[colFlags], f)
}

func (e *segmentEncoder) address(r *muster.Result) {
	c, a := e.cols[colAddress], r.Address.Addr()
	switch {
	case !a.IsValid():
		e.cols[colAddress] = append(c, addrNone)
		return
	case a.Is4():
		v := a.As4()
		c = append(append(c, addrV4), v[:]...)
	default:
		v := a.As16()
		kind := byte(addrV6)
		if a.Zone() != "" {
			kind = addrV6Zone
		}
		c = append(append(c, kind), v[:]...)
		if kind == addrV6Zone {
			c = appendUint(c, e.intern(a.Zone()))
		}
	}
	e.cols[colAddress] = binary.BigEndian.AppendUint16(c, r.Address.Port())
}

func (e *segmentEncoder) times(r *muster.Result) {
	if !r.Started.IsZero() {
		at := r.Started.UnixMicro()
		e.cols[colStarted] = appendInt(e.cols[colStarted], at-e.prevTime)
		e.prevTime = at
	}
	t := &r.Timings
	e.put(colResolve, micros(t.Resolve))
	e.put(colConnect, micros(t.Connect))
	e.put(colTLS, micros(t.TLS))
	e.put(colFirstByte, micros(t.FirstByte))
	e.put(colTotal, micros(t.Total))
}

func (e *segmentEncoder) fields(fs []muster.Field) {
	same := len(fs) == len(e.lastName[0].names)
	for i := 0; same && i < len(fs); i++ {
		same = fs[i].Name == e.lastName[0].names[i]
	}
	if !same {
		names := e.lastName[0].names[:0]
		for i := range fs {
			names = append(names, fs[i].Name)
		}
		e.lastName[0] = nameCache{names, e.shape(names)}
	}
	e.put(colFieldShape, e.lastName[0].ref)
	for i := range fs {
		e.cols[colFieldValue] = appendValue(e.cols[colFieldValue], fs[i].Value)
		e.size += 16
		if s, ok := fs[i].Value.(string); ok {
			e.size += len(s)
		}
	}
}

func (e *segmentEncoder) header(hs []muster.HeaderField) {
	same := len(hs) == len(e.lastName[1].names)
	for i := 0; same && i < len(hs); i++ {
		same = hs[i].Name == e.lastName[1].names[i]
	}
	if !same {
		names := e.lastName[1].names[:0]
		for i := range hs {
			names = append(names, hs[i].Name)
		}
		e.lastName[1] = nameCache{names, e.shape(names)}
	}
	e.put(colHeadShape, e.lastName[1].ref)
	for i := range hs {
		e.cols[colHeadValue] = appendText(e.cols[colHeadValue], hs[i].Value)
		e.size += len(hs[i].Value)
	}
}

// shape returns the number of a list of names, 0 for the empty one.
func (e *segmentEncoder) shape(names []string) uint64 {
	if len(names) == 0 {
		return 0
	}
	b := appendUint(e.scratch[:0], uint64(len(names)))
	for _, n := range names {
		b = appendUint(b, e.intern(n))
	}
	e.scratch = b
	ref, fresh := e.shapes.add(string(b))
	if fresh {
		e.cols[colShapes] = append(e.cols[colShapes], b...)
	}
	return ref
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, tagNil)
	case bool:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < maxExactInt && !(v == 0 && math.Signbit(v)) {
			return appendInt(append(b, tagInt), int64(v))
		}
		return binary.LittleEndian.AppendUint64(append(b, tagFloat), math.Float64bits(v))
	case string:
		return appendText(append(b, tagString), v)
	}
	return appendText(append(b, tagString), fmt.Sprint(v))
}

// body notes the row's body: 0 none, 1 the next new one, n+2 number n again.
func (e *segmentEncoder) body(b []byte) {
	if len(b) == 0 {
		e.put(colBody, 0)
		return
	}
	if len(b) > smallBody {
		e.largeBody(b)
		return
	}
	t := &e.bodies
	h := maphash.Bytes(t.seed, b)
	if s, ok := t.refs[h]; ok && bytes.Equal(t.raw[s.at:s.at+s.len], b) {
		e.put(colBody, s.ref+2)
		return
	}
	if t.refs == nil {
		t.refs = map[uint64]smallRef{}
	}
	t.refs[h] = smallRef{t.count, uint64(len(t.raw)), uint64(len(b))}
	t.count++
	e.put(colBody, 1)
	e.put(colBodies, uint64(len(b))<<1)
	start := 0
	if n := len(t.ends); n > 0 {
		start = t.ends[n-1]
	}
	if len(t.raw)-start+len(b) > blockSize {
		t.ends = append(t.ends, len(t.raw))
	}
	t.raw = append(t.raw, b...)
}

func (e *segmentEncoder) largeBody(b []byte) {
	t, h := &e.bodies, hashBody(b)
	if ref, ok := t.hashes[h]; ok {
		e.put(colBody, ref+2)
		return
	}
	if t.hashes == nil {
		t.hashes = map[bodyHash]uint64{}
	}
	t.hashes[h] = t.count
	t.count++
	e.put(colBody, 1)
	e.put(colBodies, uint64(len(b))<<1|1)
	e.large = append(e.large, largeBody{h, b})
}

// seal returns the segment, all but its refs, and the large bodies that these must
// name in the same order. The encoder is empty afterwards; the large bodies
// are valid until the next add.
func (e *segmentEncoder) seal() (segment, []largeBody) {
	s := segment{count: e.rows, outcomes: e.outcomes}
	s.bodies = e.packBodies()

	head := append(e.scratch[:0], segmentVersion)
	head = appendUint(head, uint64(e.rows))
	for _, c := range e.head {
		head = append(head, c...)
	}
	s.head = e.p.pack(make([]byte, 0, len(head)/2+64), head)

	rest := head[:0]
	for _, c := range e.cols {
		rest = appendText(rest, c)
	}
	s.rest = e.p.pack(make([]byte, 0, len(rest)/2+64), rest)
	e.scratch = rest

	large := e.large
	e.large = nil
	e.reset()
	return s, large
}

func (e *segmentEncoder) packBodies() []byte {
	t := &e.bodies
	if len(t.raw) == 0 {
		return []byte{}
	}
	out := make([]byte, 0, len(t.raw)/2+64)
	start := 0
	for _, end := range append(t.ends, len(t.raw)) {
		at := len(out)
		out = e.p.pack(out, t.raw[start:end])
		e.put(colBlocks, uint64(end-start))
		e.put(colBlocks, uint64(len(out)-at))
		start = end
	}
	return out
}
