package store

import (
	"errors"
	"net/netip"

	"github.com/musterhq/muster"
)

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

// chunkRow is one row as it is stored; its bytes share memory with the cursor and the chunk.
type chunkRow struct {
	flags        byte
	hostAt       int // in the id, with targetHostInID
	host         []byte
	scheme       string
	port         uint64
	labels, vars uint64
	kind         string
	defect       []byte
}

// next reads one row into t when t is not nil, and only past it otherwise; the id is
// in k.id afterwards. The first error is the row's own defect.
func (k *chunkCursor) next(t *muster.Target) (defect, err error) {
	w := k.row()
	if k.in.bad || max(w.labels, w.vars) >= uint64(len(k.c.mappings)) || w.port > 1<<16-1 {
		return nil, errCorrupt
	}
	if t == nil {
		return nil, nil
	}
	if err := k.fill(t, &w); err != nil {
		return nil, err
	}
	if w.flags&targetDefect != 0 {
		defect = &muster.Error{Kind: muster.Kind(w.kind), Err: errors.New(string(w.defect))}
	}
	return defect, nil
}

// row reads the columns of one row, in the order in which add appended them.
func (k *chunkCursor) row() (w chunkRow) {
	in := &k.in
	w.flags = in.byte()
	k.id = readShared(in, k.id)
	w.hostAt, w.host = k.host(w.flags)
	if w.flags&targetScheme != 0 {
		w.scheme = k.text()
	}
	if w.flags&targetPort != 0 {
		w.port = in.uint()
	}
	if w.flags&targetPath != 0 {
		k.path = readShared(in, k.path)
	} else {
		k.path = k.path[:0]
	}
	if w.flags&targetMaps != 0 {
		w.labels, w.vars = in.uint(), in.uint()
	}
	if w.flags&targetDefect != 0 {
		w.kind, w.defect = k.text(), in.text()
	}
	return w
}

// host returns the host, and where it is in the id if it is a part of that.
func (k *chunkCursor) host(flags byte) (at int, host []byte) {
	if flags&targetHostInID == 0 {
		return 0, k.in.text()
	}
	from, n := k.in.uint(), k.in.uint()
	if end := from + n; end < from || end > uint64(len(k.id)) {
		k.in.fail()
		return 0, nil
	}
	return int(from), k.id[from : from+n]
}

// fill makes a target of a row; what it holds is its own.
func (k *chunkCursor) fill(t *muster.Target, w *chunkRow) (err error) {
	t.ID, t.Scheme, t.Port, t.Path, t.Off = string(k.id), w.scheme, uint16(w.port), string(k.path), w.flags&targetOff != 0
	if w.flags&targetHostInID != 0 {
		t.Host = t.ID[w.hostAt:][:len(w.host)]
	} else {
		t.Host = string(w.host)
	}
	if w.flags&targetLiteral != 0 {
		if t.Addr, err = netip.ParseAddr(t.Host); err != nil {
			return errCorrupt
		}
	}
	if t.Labels, err = k.c.mapping(w.labels); err != nil {
		return err
	}
	t.Vars, err = k.c.mapping(w.vars)
	return err
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
	if n > len(in.b)/2 { // a key and a length each
		return nil, errCorrupt
	}
	m := make(map[string]string, n)
	for range n {
		key := in.uint()
		if key >= uint64(len(c.texts)) {
			return nil, errCorrupt
		}
		m[c.texts[key]] = string(in.text())
		if in.bad {
			return nil, errCorrupt
		}
	}
	return m, nil
}
