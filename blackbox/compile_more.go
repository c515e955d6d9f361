package blackbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// leastPayload is what muster needs to recognise a reply.
const leastPayload = 8

func (c *compiler) icmp() (any, error) {
	m := &c.module.ICMP
	c.family(m.family)
	c.source(m.Source)
	c.plan.Timeout = cmp.Or(c.plan.Timeout, muster.Duration(muster.DefaultTimeout))
	p := &probe.Ping{Tries: 1, Wait: c.plan.Timeout, DontFragment: m.DontFragment}
	if m.PayloadSize > 0 {
		p.Size = max(m.PayloadSize, leastPayload)
	}
	if m.TTL != nil {
		p.TTL = *m.TTL
	}
	return p, nil
}

func (c *compiler) grpc() (any, error) {
	m := &c.module.GRPC
	c.family(m.family)
	g := &probe.GRPC{Service: literal(m.Service), Port: "80"}
	if m.TLS {
		g.Port, g.Secure, g.TLS = "443", true, c.tls(m.TLSConfig)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		for i, value := range m.Metadata[name] {
			value = literal(value)
			if sensitive.MatchString(name) {
				value = c.hidden("grpc", "metadata", name, strconv.Itoa(i))
			}
			g.Metadata = append(g.Metadata, probe.Pair{Name: name, Value: value})
		}
	}
	return g, nil
}
