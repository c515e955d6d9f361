package blackbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
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
			if action.Sensitive(name) {
				value = c.hidden("grpc", "metadata", name, strconv.Itoa(i))
			}
			g.Metadata = append(g.Metadata, probe.Pair{Name: name, Value: value})
		}
	}
	return g, nil
}

func (c *compiler) websocket() (any, error) {
	m := &c.module.Websocket
	if m.HTTP.OAuth2 != nil {
		return nil, c.errorf(".websocket.http_config.oauth2", noTokens)
	}
	c.family(m.family)
	l := c.login(&m.HTTP, "websocket", "http_config")
	w := &probe.WebSocket{TLS: c.tls(m.HTTP.TLS), User: l.user, Password: l.password, Count: -1}
	if l.authorization != "" {
		w.Header = append(w.Header, probe.Header{Name: "Authorization", Value: l.authorization})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		header := m.Headers[name]
		if header.alone && action.Sensitive(name) {
			w.Header = append(w.Header, probe.Header{Name: name, Value: c.hidden("websocket", "headers", name)})
			continue
		}
		for _, value := range c.values(header.headerFrom, "websocket", "headers", name) {
			w.Header = append(w.Header, probe.Header{Name: name, Value: value})
		}
	}
	for _, q := range m.QueryResponse {
		q.ExpectBytes, q.StartTLS, q.Labels = "", false, nil // have no place between messages
		for _, st := range steps(q, "") {
			st.Next = st.Expect != ""
			w.Steps = append(w.Steps, st)
		}
	}
	if len(w.Steps) > 0 {
		w.IdleTimeout, w.BodyLimit = patience, matchedBody
	}
	return w, nil
}

// values are all the values that the file gives for a header, at keys below the module; the last key is its name.
func (c *compiler) values(from headerFrom, keys ...string) (values []string) {
	for i, v := range from.Values {
		value := literal(v)
		if action.Sensitive(keys[len(keys)-1]) {
			value = c.hidden(append(slices.Clone(keys), "values", strconv.Itoa(i))...)
		}
		values = append(values, value)
	}
	for i := range from.Secrets {
		values = append(values, c.hidden(append(slices.Clone(keys), "secrets", strconv.Itoa(i))...))
	}
	for _, path := range from.Files {
		values = append(values, secretTemplate("file:"+absolute(path)))
	}
	return values
}
