package store

import (
	"maps"
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
