package fanout

import "github.com/musterhq/muster"

// caps counts attempts under way per host and per label value.
type caps struct {
	perHost int // 0 is no cap
	groups  []muster.GroupCap
	hosts   map[string]int
	labels  []map[string]int // parallel to groups, as are kinds
	kinds   []string
}

func newCaps(p *muster.Plan) caps {
	c := caps{perHost: p.PerHost, groups: p.PerGroup, hosts: map[string]int{}}
	if c.perHost == 0 {
		c.perHost = muster.DefaultPerHost
	}
	for _, g := range c.groups {
		c.labels = append(c.labels, map[string]int{})
		c.kinds = append(c.kinds, "per-group "+g.Label)
	}
	return c
}

// capKey names one cap: of a label's value, or of a host. The zero value is none.
type capKey struct {
	kind  string // "per-host" or "per-group LABEL"
	value string
}

const perHostKind = "per-host"

func hostKey(t *muster.Target) capKey { return capKey{perHostKind, t.Host} }

// blocked returns the first cap that t would exceed, or the zero value.
func (c *caps) blocked(t *muster.Target) capKey {
	if c.perHost > 0 && c.hosts[t.Host] >= c.perHost {
		return hostKey(t)
	}
	for i, g := range c.groups {
		if v, ok := t.Labels[g.Label]; ok && c.labels[i][v] >= g.Max {
			return capKey{c.kinds[i], v}
		}
	}
	return capKey{}
}

func (c *caps) take(t *muster.Target) { c.add(t, 1) }
func (c *caps) give(t *muster.Target) { c.add(t, -1) }

func (c *caps) add(t *muster.Target, d int) {
	if c.perHost > 0 {
		bump(c.hosts, t.Host, d)
	}
	for i, g := range c.groups {
		if v, ok := t.Labels[g.Label]; ok {
			bump(c.labels[i], v, d)
		}
	}
}

// bump keeps no zero entries: the map is as large as what is under way.
func bump(m map[string]int, k string, d int) {
	if n := m[k] + d; n > 0 {
		m[k] = n
	} else {
		delete(m, k)
	}
}
