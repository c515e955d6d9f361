package inventory

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// A spooled target is one record: flags, the canonical address and how to take it
// apart, then what the flags announce. Lengths and numbers are varints.

const (
	flagID      = 1 << iota // an id of its own
	flagOff                 // switched off
	flagErr                 // defective: the message follows
	flagLiteral             // the host is an address
	flagLabels
	flagVars
	flagSame // variables and labels are the same map
	flagBase // a row for the base target: no address of its own
)

// maxShared bounds the sets of labels that are kept decoded and shared.
const maxShared = 4096

// codec writes and reads records. Writing is for one goroutine; once all is
// written, reading is safe for any number.
type codec struct {
	base   muster.Target // of records with flagBase
	keys   []string
	keyNo  map[string]uint64
	shared []map[string]string // sets of labels that occur again and again
	known  map[string]uint64   // their encodings
	sorted []string            // scratch
	spell  []byte              // scratch
}

func newCodec() *codec {
	return &codec{keyNo: map[string]uint64{}, known: map[string]uint64{}}
}

// append encodes a target. address is its canonical address, which ends in t.Path.
func (c *codec) append(dst []byte, t *muster.Target, address string, defect error) []byte {
	flags := byte(0)
	set := func(cond bool, flag byte) {
		if cond {
			flags |= flag
		}
	}
	set(t.ID != address, flagID)
	set(t.Off, flagOff)
	set(defect != nil, flagErr)
	set(t.Addr.IsValid(), flagLiteral)
	set(t.Labels != nil, flagLabels)
	set(t.Vars != nil && maps.Equal(t.Vars, t.Labels), flagSame)
	set(t.Vars != nil && flags&flagSame == 0, flagVars)
	set(address == "", flagBase)
	dst = append(dst, flags)
	if address != "" {
		dst = appendText(dst, address)
		dst = append(dst, byte(len(t.Scheme)))
		dst = binary.AppendUvarint(dst, uint64(len(t.Host)))
		dst = binary.AppendUvarint(dst, uint64(t.Port))
		dst = binary.AppendUvarint(dst, uint64(len(t.Path)))
	}
	if flags&flagID != 0 {
		dst = appendText(dst, t.ID)
	}
	if flags&flagErr != 0 {
		dst = appendText(dst, defect.Error())
	}
	if flags&flagLabels != 0 {
		dst = c.appendMap(dst, t.Labels)
	}
	if flags&flagVars != 0 {
		dst = c.appendMap(dst, t.Vars)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendMap writes 0 and the pairs by key, or the number of a shared map.
func (c *codec) appendMap(dst []byte, m map[string]string) []byte {
	c.sorted = slices.AppendSeq(c.sorted[:0], maps.Keys(m))
	slices.Sort(c.sorted)
	c.spell = binary.AppendUvarint(c.spell[:0], uint64(len(m)))
	for _, k := range c.sorted {
		c.spell = binary.AppendUvarint(c.spell, c.number(k))
		c.spell = appendText(c.spell, m[k])
	}
	if no, ok := c.known[string(c.spell)]; ok {
		return binary.AppendUvarint(dst, no)
	}
	if len(c.shared) < maxShared {
		c.shared = append(c.shared, m)
		c.known[string(c.spell)] = uint64(len(c.shared))
		return binary.AppendUvarint(dst, uint64(len(c.shared)))
	}
	return append(append(dst, 0), c.spell...)
}

func (c *codec) number(key string) uint64 {
	no, ok := c.keyNo[key]
	if !ok {
		no = uint64(len(c.keys))
		key = strings.Clone(key)
		c.keys = append(c.keys, key)
		c.keyNo[key] = no
	}
	return no
}

// reader walks over one record. All its texts are parts of one string.
type reader struct{ rest string }

func (r *reader) number() uint64 {
	v, shift := uint64(0), 0
	for i := range len(r.rest) {
		b := r.rest[i]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
		shift += 7
	}
	r.rest = ""
	return 0
}

func (r *reader) text() string { return r.cut(int(r.number())) }

func (r *reader) cut(n int) string {
	n = min(n, len(r.rest))
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// decode reads a record.
func (c *codec) decode(record string) (t muster.Target, defect error) {
	r := reader{record}
	flags := r.cut(1)[0]
	if flags&flagBase != 0 {
		t = c.base
	} else {
		r.address(&t, flags&flagLiteral != 0)
	}
	if flags&flagID != 0 {
		t.ID = r.text()
	}
	t.Off = flags&flagOff != 0
	if flags&flagErr != 0 {
		defect = errors.New(r.text())
	}
	if flags&flagLabels != 0 {
		t.Labels = c.readMap(&r)
	}
	switch {
	case flags&flagSame != 0:
		t.Vars = t.Labels
	case flags&flagVars != 0:
		t.Vars = c.readMap(&r)
	}
	return t, defect
}

func (r *reader) address(t *muster.Target, literal bool) {
	address := r.text()
	t.ID = address
	scheme := int(r.cut(1)[0])
	at := 0
	if scheme > 0 {
		t.Scheme, at = address[:scheme], scheme+len("://")
	}
	if at < len(address) && address[at] == '[' {
		at++
	}
	n := int(r.number())
	t.Host = address[at : at+n]
	t.Port = uint16(r.number())
	t.Path = address[len(address)-int(r.number()):]
	if literal {
		t.Addr, _ = netip.ParseAddr(t.Host)
	}
}

func (c *codec) readMap(r *reader) map[string]string {
	if no := r.number(); no > 0 {
		return c.shared[no-1]
	}
	n := r.number()
	m := make(map[string]string, n)
	for range n {
		k := c.keys[r.number()]
		m[k] = r.text()
	}
	return m
}
