package fanout

import "github.com/musterhq/muster"

// caps counts attempts under way per host and per label value.
type caps struct {
	perHost int // 0 is no cap
	groups  []muster.GroupCap
	hosts   map[string]int
	labels  []map[string]int // parallel to groups
}

func newCaps(p *muster.Plan) caps {
	c := caps{perHost: p.PerHost, groups: p.PerGroup, hosts: map[string]int{}}
	if c.perHost == 0 {
		c.perHost = muster.DefaultPerHost
	}
	for range c.groups {
		c.labels = append(c.labels, map[string]int{})
	}
	return c
}

// blocked returns the key of the first cap that t would exceed, or "".
func (c *caps) blocked(t *muster.Target) string {
	if c.perHost > 0 && c.hosts[t.Host] >= c.perHost {
		return hostKey(t)
	}
	for i, g := range c.groups {
		if v, ok := t.Labels[g.Label]; ok && c.labels[i][v] >= g.Max {
			return groupKey(g.Label, v)
		}
	}
	return ""
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
