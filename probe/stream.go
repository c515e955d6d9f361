package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

// streamCompiler collects the errors of compiling a probe over a connection.
type streamCompiler struct {
	parser vars.Parser
	errs   []error
}

func (c *streamCompiler) add(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

// parse returns the template of a parameter, nil for an absent one.
func (c *streamCompiler) parse(name, text string) *vars.Template {
	if text == "" {
		return nil
	}
	t, err := c.parser.Parse(name, text)
	c.add(err)
	return t
}

func (c *streamCompiler) secret(name, ref string) muster.Secret {
	if ref == "" {
		return muster.Secret{}
	}
	if c.parser.Secret == nil {
		c.add(muster.Errorf(muster.KindInvalid, "%s %s: secrets are not available here", name, ref))
		return muster.Secret{}
	}
	s, err := c.parser.Secret(ref)
	c.add(err)
	return s
}

// tls compiles TLS options.
func (c *streamCompiler) tls(t TLS) *tls.Config {
	cfg, err := clientTLS(t, c.secret)
	c.add(err)
	return cfg
}

func (c *streamCompiler) err() error { return errors.Join(c.errs...) }

// endpoint is where a target's connection goes.
type endpoint struct {
	host string // to dial and verify; without brackets
	addr netip.Addr
	port uint16
}

// locator finds the endpoints of targets.
type locator struct {
	port  *vars.Template // for targets that state none; nil is the scheme's
	usual uint16         // for those that leave it open even so; 0 is none
}

func (l *locator) locate(t *muster.Target) (endpoint, *defect) {
	e := endpoint{t.Host, t.Addr, t.Port}
	if !e.addr.IsValid() {
		if err := checkHost(t.Host); err != nil {
			return e, &defect{"invalid host", err}
		}
	}
	if e.port == 0 && l.port != nil {
		text, err := l.port.Expand(t)
		if err != nil {
			return e, expansionDefect(err)
		}
		if e.port, err = parsePort(text); err != nil {
			return e, &defect{"invalid port", err}
		}
	}
	if e.port == 0 {
		e.port = schemePort(t.Scheme)
	}
	if e.port == 0 {
		e.port = l.usual
	}
	if e.port == 0 {
		return e, &defect{"missing port", muster.Errorf(muster.KindInvalid, "no port: write it as in %s:25, or give --port for all", t.ID)}
	}
	return e, nil
}

func schemePort(scheme string) uint16 {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}

// sni returns the name to ask for and to verify: the template's, else the host.
func (e *endpoint) sni(name *vars.Template, t *muster.Target) (string, *defect) {
	if name == nil {
		if e.addr.IsValid() {
			return e.addr.WithZone("").String(), nil
		}
		return e.host, nil
	}
	text, err := name.Expand(t)
	if err != nil {
		return "", expansionDefect(err)
	}
	if err := checkHost(text); err != nil {
		return "", &defect{"invalid tls server name", err}
	}
	return text, nil
}

// String returns host and port as in a URL.
func (e *endpoint) String() string {
	return string(appendAuthority(nil, &request{host: e.host, addr: e.addr, port: e.port}))
}

// connect opens a connection to e for the attempt of r, which began at r.Started. When it returns nil, r says why.
func connect(ctx context.Context, env *Env, e endpoint, r *muster.Result) net.Conn {
	end := r.Started.Add(env.Timeout)
	ap, known, err := env.Dialer.ResolveCached(e.host, e.addr, e.port)
	if !known {
		rctx, stop := context.WithDeadline(ctx, end)
		ap, err = env.Dialer.Resolve(rctx, e.host, e.addr, e.port)
		stop()
		r.Timings.Resolve = time.Since(r.Started)
	}
	if err != nil {
		failUnlessCanceled(ctx, r, err, dial.PhaseResolve)
		return nil
	}
	r.Address = ap
	began := time.Now()
	dctx, stop := context.WithDeadline(ctx, earlier(began.Add(env.ConnectTimeout), end))
	c, err := env.Dialer.Dial(dctx, ap)
	stop()
	r.Timings.Connect = time.Since(began)
	if err != nil {
		failUnlessCanceled(ctx, r, err, dial.PhaseConnect)
		return nil
	}
	return c
}

func failUnlessCanceled(ctx context.Context, r *muster.Result, err error, phase dial.Phase) {
	if !cancel(ctx, r) {
		failIn(r, err, phase)
	}
}
