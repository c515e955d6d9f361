package rollup

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/musterhq/muster"
)

// Compare tells what changed between two runs: which targets, by their ids, are in another group
// of By than before. Give it all of the first run through Before, then all of the
// second through After, in any order, then ask for Changes. The zero value compares statuses.
//
// It takes 32 bytes for each target of the first run, and the keys of up to MaxKeys
// groups.
type Compare struct {
	By    By
	Masks Masks
	// MaxKeys bounds the keys that are told apart by name; 0 is DefaultMaxGroups. Changes to
	// and from further keys are noticed and counted under Other.
	MaxKeys int

	before  []entry
	sorted  bool
	keys    []string
	numbers map[string]int32
	result  Changes
	changed map[[2]int32]*Change
	buf     []byte
	masked  []byte
}

// entry is one target of the first run. Targets are told apart by 128 bits.
type entry struct {
	id    [hashSize]byte
	key   uint64 // a hash
	num   int32  // of the key's name, -1 when there are too many
	index int32  // ^index once it was met in the second run
}

// Changes is what [Compare] found.
type Changes struct {
	// Same is how many targets have the key they had.
	Same int
	// Changed lists the others that are in both runs by what they were and are, the
	// most frequent first.
	Changed []Change
	// OnlyBefore are indexes in the list of the first run, OnlyAfter in that of the second.
	OnlyBefore, OnlyAfter Members
}

// Change is one kind of change.
type Change struct {
	From, To string
	Count    int
	// Members are indexes in the list of the second run.
	Members Members
}

// Before adds a result of the first run. t may be nil, see [By.Key].
func (c *Compare) Before(t *muster.Target, r *muster.Result) {
	hash, num := c.key(t, r)
	c.before = append(c.before, entry{idHash(r.Target), hash, num, int32(r.Index)})
	c.sorted = false
}

// After compares a result of the second run with the first run, which must be complete.
func (c *Compare) After(t *muster.Target, r *muster.Result) {
	c.sort()
	id := idHash(r.Target)
	at, found := slices.BinarySearchFunc(c.before, id, func(e entry, id [hashSize]byte) int { return bytes.Compare(e.id[:], id[:]) })
	for found && at < len(c.before) && c.before[at].id == id && c.before[at].index < 0 {
		at++ // one id more than once: pair them in order
	}
	if !found || at == len(c.before) || c.before[at].id != id {
		c.result.OnlyAfter.Add(r.Index)
		return
	}
	e := &c.before[at]
	e.index = ^e.index
	hash, num := c.key(t, r)
	if hash == e.key {
		c.result.Same++
		return
	}
	c.change(e.num, num, r.Index)
}

func (c *Compare) change(from, to int32, index int) {
	pair := [2]int32{from, to}
	ch := c.changed[pair]
	if ch == nil {
		if c.changed == nil {
			c.changed = map[[2]int32]*Change{}
		}
		ch = &Change{From: c.name(from), To: c.name(to)}
		c.changed[pair] = ch
	}
	ch.Count++
	ch.Members.Add(index)
}

// Changes returns what was found. Its members belong to c.
func (c *Compare) Changes() Changes {
	res := c.result
	res.OnlyBefore = Members{}
	for _, e := range c.before {
		if e.index >= 0 {
			res.OnlyBefore.Add(int(e.index))
		}
	}
	res.Changed = make([]Change, 0, len(c.changed))
	for _, ch := range c.changed {
		res.Changed = append(res.Changed, *ch)
	}
	slices.SortFunc(res.Changed, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return res
}

func (c *Compare) sort() {
	if !c.sorted {
		slices.SortFunc(c.before, func(a, b entry) int {
			return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.index, b.index))
		})
		c.sorted = true
	}
}

// key returns a hash of the key of r, and the number of its name.
func (c *Compare) key(t *muster.Target, r *muster.Result) (hash uint64, num int32) {
	if c.By.kind == byBody && r.Outcome.Answered() {
		c.masked = c.Masks.Append(c.masked[:0], t, r)
		c.buf = appendBody(c.buf[:0], c.masked, r)
	} else {
		c.buf = c.By.appendKey(c.buf[:0], t, r)
	}
	sum := sha256.Sum256(c.buf)
	for _, b := range sum[:8] {
		hash = hash<<8 | uint64(b)
	}
	return hash, c.number(c.buf)
}

func (c *Compare) number(key []byte) int32 {
	if n, ok := c.numbers[string(key)]; ok {
		return n
	}
	if len(c.keys) >= cmp.Or(max(c.MaxKeys, 0), DefaultMaxGroups) {
		return -1
	}
	if c.numbers == nil {
		c.numbers = map[string]int32{}
	}
	n := int32(len(c.keys))
	c.keys = append(c.keys, string(key))
	c.numbers[c.keys[n]] = n
	return n
}

func (c *Compare) name(num int32) string {
	if num < 0 {
		return Other
	}
	return c.keys[num]
}

func idHash(id string) (h [hashSize]byte) {
	sum := sha256.Sum256([]byte(id))
	copy(h[:], sum[:])
	return h
}
