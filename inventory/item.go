package inventory

import (
	"maps"
	"strings"

	"github.com/musterhq/muster"
)

// item is one term of an expression, resolved: one host or a grid of hosts in one form.
type item struct {
	form form
	host host // when grid.box is nil
	grid grid
	meta *meta
	// id and err are those of a single target that brings its own.
	id  string
	err error
	// filters are the operators behind the item, still to be applied.
	filters []filter
}

// meta is what hosts of an item share beside their form. It is never changed once made.
type meta struct {
	labels, vars map[string]string
	off          bool
}

// filter is "! set" or "& set".
type filter struct {
	set  *region
	keep bool // & keeps what the set has, ! drops it
}

func (it *item) single() bool { return it.grid.box == nil }

func (it *item) len() uint64 {
	if it.single() {
		return 1
	}
	return it.grid.len()
}

// passes reports whether the item's filters let h through.
func (it *item) passes(f form, h host, id string) bool {
	for _, fl := range it.filters {
		if fl.set.has(f, h, id) != fl.keep {
			return false
		}
	}
	return true
}

// filtered returns the item's grid with its filters applied.
func (it *item) filtered(f form) (grid, error) {
	g := it.grid
	for _, fl := range it.filters {
		hit, err := fl.set.within(g, f)
		if err != nil {
			return g, err
		}
		kept := g.all()
		if fl.keep {
			kept = kept.intersect(&hit)
		} else {
			kept = kept.minus(&hit)
		}
		g = g.only(kept)
	}
	return g, nil
}

// groupLabel is the label that names the groups a target came from, separated by commas.
const groupLabel = "group"

// inGroup returns m with the group added in front of those it has.
func (m *meta) inGroup(name string) *meta {
	if m == nil {
		return &meta{labels: map[string]string{groupLabel: name}}
	}
	n := *m
	n.labels = withGroups(m.labels, []string{name})
	return &n
}

// withGroups returns labels with the groups in the group label; labels itself is not changed.
func withGroups(labels map[string]string, groups []string) map[string]string {
	if len(groups) == 0 {
		return labels
	}
	all := strings.Join(groups, ",")
	for g := range strings.SplitSeq(labels[groupLabel], ",") {
		if g != "" && !hasGroup(all, g) {
			all += "," + g
		}
	}
	return withLabel(labels, groupLabel, all)
}

func withLabel(labels map[string]string, key, value string) map[string]string {
	m := make(map[string]string, len(labels)+1)
	maps.Copy(m, labels)
	m[key] = value
	return m
}

func hasGroup(list, name string) bool {
	for g := range strings.SplitSeq(list, ",") {
		if g == name {
			return true
		}
	}
	return false
}

// target returns the target at the given canonical address.
func (it *item) target(f form, h host) muster.Target {
	t := muster.Target{
		ID: it.id, Scheme: f.scheme, Host: h.name, Addr: h.addr, Port: f.port, Path: f.urlPath(),
	}
	if it.meta != nil {
		t.Labels, t.Vars, t.Off = it.meta.labels, it.meta.vars, it.meta.off
	}
	if t.ID == "" {
		t.ID = f.address(h)
	}
	return t
}

// address returns the canonical address of h in form f.
func (f form) address(h host) string {
	prefix, suffix := f.around(h.addr.Is6())
	return prefix + h.name + suffix
}
