package inventory

import (
	"encoding/binary"
	"hash"
	"maps"
	"slices"

	"github.com/musterhq/muster"
)

// gridPart is a grid of targets with what they share.
type gridPart struct {
	grid
	form           form
	prefix, suffix string
	path           string
	meta           meta
}

// target returns the target with the given rank.
func (g *gridPart) target(rank uint64) muster.Target {
	var buf [192]byte
	b := append(buf[:0], g.prefix...)
	b, addr := g.appendHost(b, rank)
	end := len(b)
	id := string(append(b, g.suffix...))
	return muster.Target{
		ID: id, Scheme: g.form.scheme, Host: id[len(g.prefix):end], Addr: addr, Port: g.form.port, Path: g.path,
		Labels: g.meta.labels, Vars: g.meta.vars, Off: g.meta.off,
	}
}

// note adds the part's definition to the list's digest.
func (g *gridPart) note(digest hash.Hash) {
	b := appendText([]byte("grid"), g.prefix)
	b = appendText(appendText(b, g.suffix), g.shape)
	b = binary.AppendUvarint(b, uint64(g.form.port))
	for _, d := range g.dims {
		b = appendSpans(b, d.spans)
	}
	b = appendSpans(b, g.all().spans)
	for _, m := range []map[string]string{g.meta.labels, g.meta.vars} {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			b = appendText(appendText(b, k), m[k])
		}
	}
	if g.meta.off {
		b = append(b, 1)
	}
	digest.Write(b)
}

func appendSpans(b []byte, spans []span) []byte {
	b = binary.AppendUvarint(b, uint64(len(spans)))
	for _, s := range spans {
		b = binary.AppendUvarint(binary.AppendUvarint(b, s.lo), s.hi)
	}
	return b
}
