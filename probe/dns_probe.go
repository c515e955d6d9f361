package probe

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

var (
	_ packetKind     = (*dnsProber)(nil)
	_ packetExchange = (*dnsExchange)(nil)
	_ Checker        = (*dnsProber)(nil)
	_ Previewer      = (*dnsProber)(nil)
)

// Probe does one exchange with t over a socket of its own.
func (p *dnsProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	if p.overUDP() {
		return probeDatagrams(ctx, p, t)
	}
	r := muster.Result{Started: time.Now()}
	p.probeStream(ctx, &t, &r)
	r.Timings.Total = time.Since(r.Started)
	return r
}

func (p *dnsProber) overUDP() bool {
	return p.spec.Transport == "" || p.spec.Transport == transportUDP
}

func (p *dnsProber) probeStream(ctx context.Context, t *muster.Target, r *muster.Result) {
	s := dnsStream{p: p}
	route, d := p.locate(t)
	if d == nil {
		s.query, d = p.question(nil, t)
	}
	if d == nil {
		s.serverName, d = p.serverName(t)
	}
	if d != nil {
		d.result(r)
		return
	}
	ctx, stop := context.WithTimeout(ctx, p.env.Timeout)
	defer stop()
	ap, err := p.env.Dialer.Resolve(ctx, route.host, route.addr, route.port)
	if !route.addr.IsValid() {
		r.Timings.Resolve = time.Since(r.Started)
	}
	if err != nil {
		if !stopped(ctx, r) {
			failIn(r, err, dial.PhaseResolve)
		}
		return
	}
	r.Address = ap
	newID(s.query)
	s.ask(ctx, r)
}

// question appends the query for t, with id 0.
func (p *dnsProber) question(dst []byte, t *muster.Target) ([]byte, *defect) {
	query, err := p.appendQuery(dst, t)
	if err == nil {
		return query, nil
	}
	if _, missing := errors.AsType[*vars.MissingError](err); missing {
		return dst, expansionDefect(err)
	}
	return dst, &defect{"invalid name", err}
}

func (p *dnsProber) serverName(t *muster.Target) (string, *defect) {
	if p.sni == nil {
		return strings.TrimSuffix(t.Host, "."), nil
	}
	name, err := p.sni.Expand(t)
	if err != nil {
		return "", expansionDefect(err)
	}
	return name, nil
}

// Check reports why t would end invalid.
func (p *dnsProber) Check(t *muster.Target) error {
	_, d := p.locate(t)
	if d == nil {
		_, d = p.serverName(t)
	}
	if d != nil {
		return d.err
	}
	return nil
}

// Preview returns the question after a line with its destination.
func (p *dnsProber) Preview(t *muster.Target) (string, error) {
	route, d := p.locate(t)
	if d != nil {
		return "", d.err
	}
	query, d := p.question(nil, t)
	if d != nil {
		return "", d.err
	}
	name, _, err := dns.UnpackDomainName(query, dnsHead)
	if err == nil && p.name != nil && p.name.Secret() {
		name, err = p.name.Redacted(t)
	}
	transport := p.spec.Transport
	if transport == "" {
		transport = transportUDP
	}
	return previewHead(transport, t, route.port) + name + " " + dns.Class(p.class).String() + " " + dns.Type(p.rrtype).String() + p.options(), err
}

// options says what is asked for besides.
func (p *dnsProber) options() string {
	var b strings.Builder
	for _, o := range []struct {
		on   bool
		text string
	}{
		{!p.spec.NoRecurse, "recursion"}, {p.spec.DNSSEC, "dnssec"}, {p.spec.NoCheck, "no check"}, {p.spec.NSID, "nsid"}, {p.spec.NoEDNS, "no edns"},
	} {
		if o.on {
			b.WriteString(", " + o.text)
		}
	}
	return b.String()
}
