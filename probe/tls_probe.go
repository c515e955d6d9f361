package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// refusalWait is how long a TLS 1.3 server that asked for a client's certificate has to refuse it: it says so after the
// handshake, or nothing at all.
const refusalWait = time.Second

// handshakeProber is a compiled [Handshake]. It is immutable.
type handshakeProber struct {
	env     Env
	spec    Handshake
	at      locator
	cfg     *tls.Config
	sni     *vars.Template
	upgrade *tcpProber // nil without
}

func compileHandshake(h Handshake, env Env) (muster.Prober, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	p := &handshakeProber{env: env.withDefaults(true), spec: h}
	c := streamCompiler{parser: vars.Parser{Secret: env.Secret}}
	p.at = locator{port: c.parse("port", h.Port), usual: 443}
	p.sni = c.parse("tls server_name", h.TLS.ServerName)
	if p.cfg = c.tls(h.TLS); p.cfg != nil {
		h.offer(p.cfg)
	}
	if u, ok := upgrades()[h.StartTLS]; ok {
		p.at.usual = u.port
		var err error
		p.upgrade, err = newTCP(TCP{Steps: u.steps, Until: untilNone}, p.env)
		c.add(err)
	}
	return p, c.err()
}

// offer sets what the greeting offers. The probe verifies by itself, so that the certificate is known whatever comes of it.
func (h *Handshake) offer(cfg *tls.Config) {
	cfg.InsecureSkipVerify = true
	cfg.NextProtos = h.ALPN
	if h.MaxVersion != "" {
		cfg.MaxVersion = tlsVersions[slices.Index(tlsVersionNames, h.MaxVersion)]
	}
	if h.NoPQ {
		cfg.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	if cfg.MinVersion < tls.VersionTLS12 {
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			cfg.CipherSuites = append(cfg.CipherSuites, s.ID)
		}
	}
}

// greeting is one handshake under way.
type greeting struct {
	state  *tls.ConnectionState // once the server's certificate is known
	bad    error                // why it does not hold
	asked  bool                 // for a client's certificate
	script *script
}

// Probe shakes hands with t.
func (p *handshakeProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	s, d := p.script(&t)
	if d != nil {
		d.result(&r)
		return r
	}
	if c := connect(ctx, &p.env, s.endpoint, &r); c != nil {
		stop := context.AfterFunc(ctx, func() { c.Close() })
		p.greet(ctx, c, &greeting{script: s}, &r)
		stop()
		c.Close() // a second time after a cancel, which does no harm
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

func (p *handshakeProber) greet(ctx context.Context, c net.Conn, g *greeting, r *muster.Result) {
	end := r.Started.Add(p.env.Timeout)
	if p.upgrade != nil {
		k := talk{p: p.upgrade, s: g.script, r: r, raw: c, conn: c, end: end}
		_, err := k.run()
		if err == nil && k.at < len(k.in) {
			err = errPlainText
		}
		if err != nil {
			k.conclude(ctx, "", err)
			return
		}
	}
	err := p.handshake(c, g, end, r)
	switch {
	case g.bad != nil && !p.spec.TLS.Insecure:
		failTLS(r, g.bad)
	case err == nil:
		r.Outcome = muster.OK
	case cancel(ctx, r):
		return
	default:
		failTLS(r, err)
	}
	if g.state != nil {
		p.report(g, r)
	}
}

// handshake greets the server, and waits for its word on the client's certificate.
func (p *handshakeProber) handshake(c net.Conn, g *greeting, end time.Time, r *muster.Result) error {
	cfg := p.cfg.Clone()
	cfg.ServerName = g.script.sni
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		g.state, g.bad = &cs, p.verify(&cs, cfg.ServerName)
		if p.spec.TLS.Insecure {
			return nil
		}
		return g.bad
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		g.asked = true
		if len(p.cfg.Certificates) > 0 {
			return &p.cfg.Certificates[0], nil
		}
		return new(tls.Certificate), nil
	}
	if err := c.SetDeadline(end); err != nil {
		return err
	}
	began := time.Now()
	tc := tls.Client(c, cfg)
	err := tc.Handshake()
	r.Timings.TLS = time.Since(began)
	if err != nil {
		return err
	}
	cs := tc.ConnectionState() // TLS 1.2 agrees on the curve only after the certificate
	g.state = &cs
	if g.asked && g.state.Version == tls.VersionTLS13 {
		c.SetReadDeadline(earlier(time.Now().Add(refusalWait), end))
		if _, err := tc.Read(make([]byte, 1)); err != nil && remoteAlert(err) != nil {
			return err
		}
	}
	tc.Close()
	return nil
}

// verify holds the certificate against the roots and the name or address, as crypto/tls does.
func (p *handshakeProber) verify(cs *tls.ConnectionState, name string) error {
	opts := x509.VerifyOptions{Roots: p.cfg.RootCAs, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(opts)
	return err
}

func (p *handshakeProber) script(t *muster.Target) (*script, *defect) {
	e, d := p.at.locate(t)
	if d != nil {
		return nil, d
	}
	s := &script{endpoint: e}
	if p.upgrade != nil {
		at := *t
		at.Port = e.port
		if s, d = p.upgrade.script(&at, false); d != nil {
			return nil, d
		}
	}
	s.sni, d = e.sni(p.sni, t)
	return s, d
}

// Check reports why t would end invalid.
func (p *handshakeProber) Check(t *muster.Target) error {
	if _, d := p.script(t); d != nil {
		return d.err
	}
	return nil
}

// Preview tells of the handshake.
func (p *handshakeProber) Preview(t *muster.Target) (string, error) {
	s, d := p.script(t)
	if d != nil {
		return "", d.err
	}
	text := "# tls " + s.endpoint.String() + " for " + s.sni
	if p.spec.StartTLS != "" {
		text += " after " + p.spec.StartTLS
	}
	return text + "\n", nil
}

var _ interface {
	muster.Prober
	Checker
	Previewer
} = (*handshakeProber)(nil)
