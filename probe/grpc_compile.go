package probe

import (
	"crypto/tls"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

const (
	grpcPath = "/grpc.health.v1.Health/Check"
	// maxCall bounds what a call sends of templates, so that its parts fit into a frame each.
	maxCall = 8 << 10
)

// grpcProber is a compiled [GRPC]. It is immutable.
type grpcProber struct {
	env       Env
	spec      GRPC
	at        locator
	tls       *tls.Config
	sni       *vars.Template
	service   *vars.Template // nil: the server as a whole
	authority *vars.Template // nil: host and port
	metadata  []envTemplate
}

var _ interface {
	muster.Prober
	Checker
	Previewer
} = (*grpcProber)(nil)

func compileGRPC(g GRPC, env Env) (muster.Prober, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	p := &grpcProber{env: env.withDefaults(true), spec: g}
	c := streamCompiler{parser: vars.Parser{Secret: env.Secret}}
	p.at.port = c.parse("port", g.Port)
	p.sni = c.parse("tls server_name", g.TLS.ServerName)
	p.service = c.parse("service", g.Service)
	p.authority = c.parse("authority", g.Authority)
	for _, m := range g.Metadata {
		t, err := c.parser.Parse("metadata "+m.Name, m.Value)
		c.add(err)
		p.metadata = append(p.metadata, envTemplate{strings.ToLower(m.Name), t})
	}
	p.tls = c.tls(g.TLS)
	if err := c.err(); err != nil {
		return nil, err
	}
	p.tls.NextProtos = []string{"h2"}
	return p, nil
}

// call is what is sent to one target.
type call struct {
	endpoint
	secure    bool
	sni       string
	service   string
	authority string
	metadata  []Pair
}

// build returns the call to t. With redact it is the one to be shown.
func (p *grpcProber) build(t *muster.Target, redact bool) (*call, *defect) {
	e, d := p.at.locate(t)
	if d != nil {
		return nil, d
	}
	c := &call{endpoint: e, secure: p.spec.Secure || t.Scheme == "https", authority: e.String()}
	if c.sni, d = e.sni(p.sni, t); d != nil {
		return nil, d
	}
	if p.service != nil {
		if c.service, d = expandValue("service", p.service, t, redact); d != nil {
			return nil, d
		}
	}
	if p.authority != nil {
		if c.authority, d = expandValue("authority", p.authority, t, redact); d != nil {
			return nil, d
		}
	}
	size := len(c.service) + len(c.authority)
	for _, m := range p.metadata {
		value, d := expandValue("metadata "+m.name, m.value, t, redact)
		if d != nil {
			return nil, d
		}
		c.metadata = append(c.metadata, Pair{m.name, value})
		size += len(m.name) + len(value) + 8 // their lengths among it
	}
	if size > maxCall {
		return nil, &defect{"call too large", muster.Errorf(muster.KindInvalid, "service, authority and metadata have %d bytes: want at most %d", size, maxCall)}
	}
	return c, nil
}

// expandValue expands what goes into a header field.
func expandValue(what string, tpl *vars.Template, t *muster.Target, redact bool) (string, *defect) {
	b, err := expand(nil, tpl, t, redact)
	if err != nil {
		return "", expansionDefect(err)
	}
	if err := checkHeaderValue(what, b); err != nil {
		return "", &defect{"invalid " + strings.Fields(what)[0], err}
	}
	return string(b), nil
}

// Check reports why t would end invalid.
func (p *grpcProber) Check(t *muster.Target) error {
	if _, d := p.build(t, false); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the call.
func (p *grpcProber) Preview(t *muster.Target) (string, error) {
	c, d := p.build(t, true)
	if d != nil {
		return "", d.err
	}
	var b strings.Builder
	b.WriteString("# grpc " + c.endpoint.String())
	if c.secure {
		b.WriteString(" over TLS for " + c.sni)
	}
	b.WriteString("\n" + grpcPath[1:] + ` {"service": ` + quoteJSON(c.service) + "}\n")
	if c.authority != c.endpoint.String() {
		b.WriteString(":authority: " + c.authority + "\n")
	}
	for _, m := range c.metadata {
		b.WriteString(m.Name + ": " + m.Value + "\n")
	}
	return b.String(), nil
}
