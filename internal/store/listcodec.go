package store

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// A chunk holds chunkTargets targets of a frozen list, row after row; ids and
// paths share the start they have in common with the row before, except in
// every chunkRestart-th row, so that one target is read without the others:
//
//	version, rows, texts, mappings, position of each restart, rows
//
// A mapping is one set of labels or vars; rows that have the same share it.
const (
	chunkVersion = 1
	chunkTargets = 1024
	chunkRestart = 16
)

// The flag bits of a target.
const (
	targetOff      = 1 << iota
	targetLiteral  // Addr is the parsed host
	targetDefect   // a kind and a text follow
	targetHostInID // the host is a part of the id
	targetPath
	targetMaps // labels and vars follow
	targetScheme
	targetPort
)

// chunkEncoder packs targets; reused, not safe for concurrent use.
type chunkEncoder struct {
	p        *packer
	rows     int
	body     []byte
	restarts []int
	texts    dictionary
	textCol  []byte
	mappings dictionary
	mapCol   []byte
	prev     muster.Target
	last     [2]mapCache
	keys     []string
	scratch  []byte
}

// mapCache remembers the last mapping: neighbouring rows often share it.
type mapCache struct {
	m   map[string]string
	ref uint64
}

func (e *chunkEncoder) reset() {
	e.rows, e.body, e.restarts = 0, e.body[:0], e.restarts[:0]
	clear(e.texts.refs)
	clear(e.mappings.refs)
	e.textCol, e.mapCol = e.textCol[:0], e.mapCol[:0]
	e.prev, e.last = muster.Target{}, [2]mapCache{}
}

// add appends one target with the defect of its row, if any.
func (e *chunkEncoder) add(t *muster.Target, defect error) {
	if e.rows%chunkRestart == 0 {
		e.restarts = append(e.restarts, len(e.body))
		e.prev.ID, e.prev.Path = "", ""
	}
	e.rows++
	at := len(e.body)
	var f byte
	b := append(e.body, 0)
	b = appendShared(b, e.prev.ID, t.ID)
	if i := strings.Index(t.ID, t.Host); i >= 0 {
		f |= targetHostInID
		b = appendUint(appendUint(b, uint64(i)), uint64(len(t.Host)))
	} else {
		b = appendText(b, t.Host)
	}
	if t.Scheme != "" {
		f |= targetScheme
		b = appendUint(b, e.text(t.Scheme))
	}
	if t.Port != 0 {
		f |= targetPort
		b = appendUint(b, uint64(t.Port))
	}
	if t.Path != "" {
		f |= targetPath
		b = appendShared(b, e.prev.Path, t.Path)
	}
	e.prev.Path = t.Path
	if len(t.Labels) > 0 || len(t.Vars) > 0 {
		f |= targetMaps
		b = appendUint(appendUint(b, e.mapping(0, t.Labels)), e.mapping(1, t.Vars))
	}
	if t.Off {
		f |= targetOff
	}
	if t.Addr.IsValid() {
		f |= targetLiteral
	}
	if defect != nil {
		f |= targetDefect
		b = appendText(appendUint(b, e.text(string(muster.KindOf(defect)))), defect.Error())
	}
	b[at] = f
	e.body, e.prev.ID = b, t.ID
}

// appendShared appends how many bytes s shares with prev, and the others.
func appendShared(b []byte, prev, s string) []byte {
	n, most := 0, min(len(prev), len(s))
	for n < most && prev[n] == s[n] {
		n++
	}
	return appendText(appendUint(b, uint64(n)), s[n:])
}

func (e *chunkEncoder) text(s string) uint64 {
	ref, fresh := e.texts.add(s)
	if fresh {
		e.textCol = appendText(e.textCol, s)
	}
	return ref
}

func (e *chunkEncoder) mapping(which int, m map[string]string) uint64 {
	if len(m) == 0 {
		return 0
	}
	c := &e.last[which]
	if c.ref != 0 && maps.Equal(c.m, m) {
		return c.ref
	}
	e.keys = slices.AppendSeq(e.keys[:0], maps.Keys(m))
	slices.Sort(e.keys)
	b := appendUint(e.scratch[:0], uint64(len(m)))
	for _, k := range e.keys {
		b = appendText(appendUint(b, e.text(k)), m[k])
	}
	e.scratch = b
	ref, fresh := e.mappings.add(string(b))
	if fresh {
		e.mapCol = appendText(e.mapCol, b)
	}
	*c = mapCache{m, ref}
	return ref
}

// seal returns the packed chunk and empties the encoder.
func (e *chunkEncoder) seal() []byte {
	b := append(e.scratch[:0], chunkVersion)
	b = appendUint(b, uint64(e.rows))
	b = appendText(appendText(b, e.textCol), e.mapCol)
	b = append(appendDeltas(b, e.restarts), e.body...)
	e.scratch = b
	out := e.p.pack(make([]byte, 0, len(b)/2+64), b)
	e.reset()
	return out
}

// listChunk is an unpacked chunk. It is immutable and safe for concurrent use.
type listChunk struct {
	rows     int
	texts    []string
	mappings [][]byte
	restarts []int
	body     []byte
	size     int
}

func (p *packer) openChunk(packed []byte) (*listChunk, error) {
	raw, err := p.unpack(packed)
	if err != nil {
		return nil, err
	}
	in := scanner{b: raw}
	version := in.byte()
	c := &listChunk{rows: int(in.uint()), size: len(raw), texts: []string{""}, mappings: [][]byte{nil}}
	texts, mappings := scanner{b: in.text()}, scanner{b: in.text()}
	for len(texts.b) > 0 {
		c.texts = append(c.texts, string(texts.text()))
	}
	for len(mappings.b) > 0 {
		c.mappings = append(c.mappings, mappings.text())
	}
	c.restarts = in.deltas(nil)
	c.body = in.b
	if in.bad || texts.bad || mappings.bad || version != chunkVersion || c.rows < 1 || c.rows > chunkTargets ||
		len(c.restarts) != (c.rows+chunkRestart-1)/chunkRestart {
		return nil, errCorrupt
	}
	for _, at := range c.restarts {
		if at < 0 || at >= len(c.body) {
			return nil, errCorrupt
		}
	}
	return c, nil
}

// chunkCursor reads the rows of a chunk one after the other, from a restart on.
type chunkCursor struct {
	c        *listChunk
	in       scanner
	id, path []byte
}

func (c *listChunk) cursor(row int) chunkCursor {
	at := c.restarts[row/chunkRestart]
	return chunkCursor{c: c, in: scanner{b: c.body[at:]}}
}

// next reads one row into t when t is not nil, and only past it otherwise; the id is
// in k.id afterwards. The first error is the row's own defect.
func (k *chunkCursor) next(t *muster.Target) (defect, err error) {
	in := &k.in
	f := in.byte()
	k.id = readShared(in, k.id)
	hostAt, host := uint64(0), []byte(nil)
	if f&targetHostInID != 0 {
		hostAt = in.uint()
		if n := in.uint(); hostAt+n <= uint64(len(k.id)) && hostAt+n >= hostAt {
			host = k.id[hostAt : hostAt+n]
		} else {
			in.fail()
		}
	} else {
		host = in.text()
	}
	scheme, port := "", uint64(0)
	if f&targetScheme != 0 {
		scheme = k.text()
	}
	if f&targetPort != 0 {
		port = in.uint()
	}
	if f&targetPath != 0 {
		k.path = readShared(in, k.path)
	} else {
		k.path = k.path[:0]
	}
	labels, vars := uint64(0), uint64(0)
	if f&targetMaps != 0 {
		labels, vars = in.uint(), in.uint()
	}
	kind, text := "", []byte(nil)
	if f&targetDefect != 0 {
		kind, text = k.text(), in.text()
	}
	if in.bad || max(labels, vars) >= uint64(len(k.c.mappings)) || port > 1<<16-1 {
		return nil, errCorrupt
	}
	if t == nil {
		return nil, nil
	}
	t.ID, t.Scheme, t.Port, t.Path, t.Off = string(k.id), scheme, uint16(port), string(k.path), f&targetOff != 0
	if f&targetHostInID != 0 {
		t.Host = t.ID[hostAt:][:len(host)]
	} else {
		t.Host = string(host)
	}
	if f&targetLiteral != 0 {
		if t.Addr, err = netip.ParseAddr(t.Host); err != nil {
			return nil, errCorrupt
		}
	}
	if t.Labels, err = k.c.mapping(labels); err != nil {
		return nil, err
	}
	if t.Vars, err = k.c.mapping(vars); err != nil {
		return nil, err
	}
	if f&targetDefect != 0 {
		defect = &muster.Error{Kind: muster.Kind(kind), Err: errors.New(string(text))}
	}
	return defect, nil
}

func (k *chunkCursor) text() string {
	ref := k.in.uint()
	if ref >= uint64(len(k.c.texts)) {
		k.in.fail()
		return ""
	}
	return k.c.texts[ref]
}

// readShared reads what appendShared wrote into the memory of prev.
func readShared(in *scanner, prev []byte) []byte {
	n := in.uint()
	if n > uint64(len(prev)) {
		in.fail()
		return prev[:0]
	}
	return append(prev[:n], in.text()...)
}

func (c *listChunk) mapping(ref uint64) (map[string]string, error) {
	if ref == 0 {
		return nil, nil
	}
	in := scanner{b: c.mappings[ref]}
	n := in.count()
	m := make(map[string]string, n)
	for range n {
		key := in.uint()
		if key >= uint64(len(c.texts)) {
			return nil, errCorrupt
		}
		m[c.texts[key]] = string(in.text())
	}
	return m, in.err()
}
