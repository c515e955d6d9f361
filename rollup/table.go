package rollup

import (
	"cmp"
	"slices"

	"github.com/musterhq/muster"
)

const (
	// DefaultMaxGroups is how many groups a [Table] tells apart when it is not told.
	DefaultMaxGroups = 10_000
	// Other is the key of the group that takes what comes after the last group.
	Other = "(other)"

	// maxSample bounds what is kept of one body, maxSamples of all together.
	maxSample, maxSamples = 64 << 10, 64 << 20
)

// Table groups results. The zero value groups by status; set the fields before the
// first Add.
//
// Memory is bounded by MaxGroups: some 64 MiB of samples at most, a key of up to 512
// bytes per group, and the members, see [Members].
type Table struct {
	// By is what results are grouped by.
	By By
	// Masks is what bodies may differ in when By is the body.
	Masks Masks
	// MaxGroups bounds the groups; 0 is DefaultMaxGroups. Results with further keys are
	// counted in one more group, Other, in the order in which they come: from there on, and
	// only then, parts no longer merge to exactly the groups of the whole.
	MaxGroups int

	groups map[string]*Group
	other  *Group
	buf    []byte
	masked []byte
	// sampled is the size of all samples, none of which is longer than limit. The limit is
	// halved when they get too large, which depends on the groups and not on their order.
	sampled, limit int
}

// Group is one group of a [Table].
type Group struct {
	// By is what was grouped by, Key what the members have in common. The key of a group
	// by body is a hash and, unless it was ok, why not: "… status 503".
	By, Key string
	// Count is how many results there are.
	Count int
	// Members are the indexes of their targets. They belong to the table.
	Members *Members
	// Sample is the body that the members share, after masks, in a group by body; its first
	// 64 KiB, or less when all samples would take more than 64 MiB. Nil in other groups.
	Sample []byte
	// Cut says that Sample is only the start of the body.
	Cut bool
	// Failed says that none of the members ended OK.
	Failed bool
}

// Add counts r. t may be nil when the target is not at hand, see [By.Key]. Nothing of t and
// r is kept.
func (t *Table) Add(target *muster.Target, r *muster.Result) {
	g := t.find(target, r)
	g.Count++
	g.Failed = g.Failed && r.Outcome != muster.OK
	g.Members.Add(r.Index)
}

func (t *Table) find(target *muster.Target, r *muster.Result) *Group {
	if t.By.kind != byBody || !r.Outcome.Answered() {
		t.buf = t.By.appendKey(t.buf[:0], target, r)
		return t.group(t.buf, nil)
	}
	r = printed(r)
	body := r.Body
	if t.Masks != 0 {
		t.masked = t.Masks.Append(t.masked[:0], target, r)
		body = t.masked
	}
	t.buf = appendBody(t.buf[:0], body, r)
	if body == nil {
		body = []byte{}
	}
	return t.group(t.buf, body)
}

// group returns the group of a key, a new one with a copy of sample if there is room.
func (t *Table) group(key, sample []byte) *Group {
	if g := t.groups[string(key)]; g != nil {
		return g
	}
	if len(t.groups) >= t.maxGroups() {
		if t.other == nil {
			t.other = t.newGroup(Other)
		}
		return t.other
	}
	if t.groups == nil {
		t.groups = map[string]*Group{}
		t.limit = maxSample
	}
	g := t.newGroup(string(key))
	t.groups[g.Key] = g
	if sample != nil {
		g.Sample = slices.Clip(append([]byte{}, sample[:min(len(sample), t.limit)]...))
		g.Cut = len(g.Sample) < len(sample)
		t.sampled += len(g.Sample)
		t.limitSamples(t.limit)
	}
	return g
}

func (t *Table) newGroup(key string) *Group {
	return &Group{By: t.By.String(), Key: key, Members: &Members{}, Failed: true}
}

func (t *Table) maxGroups() int {
	if t.MaxGroups > 0 {
		return t.MaxGroups
	}
	return DefaultMaxGroups
}

// limitSamples halves the limit down to the given one, and further until all samples fit.
func (t *Table) limitSamples(limit int) {
	for limit < t.limit || t.sampled > maxSamples {
		t.limit /= 2
		t.sampled = 0
		for _, g := range t.groups {
			if len(g.Sample) > t.limit {
				g.Sample, g.Cut = slices.Clone(g.Sample[:t.limit]), true
			}
			t.sampled += len(g.Sample)
		}
	}
}

// Merge adds the groups of o, which must be grouped by the same rule and masks, and which
// stays as it is.
func (t *Table) Merge(o *Table) {
	if o.groups != nil && t.groups == nil {
		t.groups, t.limit = map[string]*Group{}, maxSample
	}
	for _, g := range o.sorted() {
		into := t.group([]byte(g.Key), g.Sample)
		into.merge(g)
	}
	if o.other != nil {
		if t.other == nil {
			t.other = t.newGroup(Other)
		}
		t.other.merge(o.other)
	}
	if o.groups != nil {
		t.limitSamples(min(t.limit, o.limit))
	}
}

func (g *Group) merge(o *Group) {
	g.Count += o.Count
	g.Failed = g.Failed && o.Failed
	g.Cut = g.Cut || o.Cut
	g.Members.Merge(o.Members)
}

// Len returns how many groups there are, Other among them.
func (t *Table) Len() int {
	n := len(t.groups)
	if t.other != nil {
		n++
	}
	return n
}

// Groups returns the groups, the largest first, those of one size by key; Other is the
// last. Members and Sample belong to the table, which must not change while they are used.
func (t *Table) Groups() []Group {
	groups := make([]Group, 0, t.Len())
	for _, g := range t.sorted() {
		groups = append(groups, *g)
	}
	if t.other != nil {
		groups = append(groups, *t.other)
	}
	return groups
}

func (t *Table) sorted() []*Group {
	groups := make([]*Group, 0, len(t.groups))
	for _, g := range t.groups {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return groups
}
