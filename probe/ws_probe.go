package probe

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// closeWait bounds the closing handshake: the exchange is over, and a peer need not take part in it.
const closeWait = time.Second

// wsProber is a compiled [WebSocket]. It is immutable but for its pools.
type wsProber struct {
	env     Env
	spec    WebSocket
	upgrade *httpProber // builds the request
	steps   *tcpProber  // expands the steps
	names   []string
	idle    time.Duration
	limit   int
}

func compileWebSocket(w WebSocket, env Env) (muster.Prober, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	env.ReuseHint = false
	p := &wsProber{
		env: env.withDefaults(w.Safe()), spec: w, names: w.names(),
		idle: idleOr(w.IdleTimeout, env), limit: int(cmp.Or(w.BodyLimit, DefaultBodyLimit)),
	}
	var herr, serr error
	p.upgrade, herr = compileHTTP(w.upgrade(), p.env)
	p.steps, serr = newTCP(TCP{Steps: w.Steps, Port: "1", Until: untilNone}, p.env)
	return p, errors.Join(herr, serr)
}

// order is what is done with one target.
type order struct {
	request
	header http.Header
	host   string
	sni    string
	script *script
}

func (p *wsProber) order(t *muster.Target, redact bool) (*order, *defect) {
	at := *t
	at.Scheme = httpScheme(t.Scheme)
	o := new(order)
	if d := p.upgrade.build(&o.request, &at, redact); d != nil {
		return nil, d
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(o.raw)))
	if err != nil {
		return nil, &defect{"invalid request", err}
	}
	o.header, o.host = req.Header, req.Host
	var d *defect
	if o.sni, d = p.upgrade.serverName(&o.request, &at); d != nil {
		return nil, d
	}
	o.script, d = p.steps.script(&at, redact)
	return o, d
}

// Probe connects to t, upgrades, and does the dialogue.
func (p *wsProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	o, d := p.order(&t, false)
	if d != nil {
		d.result(&r)
		return r
	}
	end := r.Started.Add(p.env.Timeout)
	if c := connect(ctx, &p.env, endpoint{o.request.host, o.addr, o.port}, &r); c != nil {
		actx, stop := context.WithDeadline(ctx, end)
		p.converse(actx, c, o, &r)
		stop()
		c.Close() // the second time when the dialogue was closed properly, which does no harm
		if r.Outcome != muster.OK {
			cancel(ctx, &r)
		}
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// converse upgrades the connection and goes on over it.
func (p *wsProber) converse(ctx context.Context, raw net.Conn, o *order, r *muster.Result) {
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := raw
	if o.https {
		tc, err := p.secure(ctx, raw, o, r)
		if err != nil {
			failTLS(r, err)
			return
		}
		c = tc
	}
	asked := time.Now()
	conn, resp, err := p.ask(ctx, c, o)
	r.Timings.FirstByte = time.Since(asked)
	if err != nil {
		p.refused(ctx, resp, err, r)
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		raw.SetDeadline(deadline)
	}
	r.Code, r.Status = resp.StatusCode, resp.Status
	k := wsTalk{p: p, o: o, r: r, conn: conn}
	err = k.run(ctx)
	if err == nil {
		raw.SetDeadline(time.Now().Add(closeWait))
		conn.Close(websocket.StatusNormalClosure, "") // whether the peer takes part changes nothing
	}
	conn.CloseNow()
	k.conclude(ctx, err)
}

func (p *wsProber) secure(ctx context.Context, raw net.Conn, o *order, r *muster.Result) (net.Conn, error) {
	cfg := p.upgrade.tls.Clone()
	cfg.ServerName = o.sni
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(raw, cfg)
	began := time.Now()
	err := tc.HandshakeContext(ctx)
	r.Timings.TLS = time.Since(began)
	return tc, err
}

// ask sends the upgrade over c.
func (p *wsProber) ask(ctx context.Context, c net.Conn, o *order) (*websocket.Conn, *http.Response, error) {
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return c, nil },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
	}
	return websocket.Dial(ctx, "http://target"+o.path, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		HTTPHeader:   o.header,
		Host:         o.host,
		Subprotocols: p.spec.Subprotocols,
	})
}

// refused is the end of an upgrade that was not granted.
func (p *wsProber) refused(ctx context.Context, resp *http.Response, err error, r *muster.Result) {
	switch {
	case resp == nil && ctx.Err() != nil:
		failIn(r, context.Cause(ctx), dial.PhaseExchange)
	case resp == nil:
		failStd(r, err)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		r.Outcome, r.Failure, r.Reason, r.Detail = muster.Failed, muster.FailProtocol, "malformed upgrade", err.Error()
	default:
		r.Outcome, r.Reason = muster.Unexpected, statusReason(resp.StatusCode)
		r.Code, r.Status = resp.StatusCode, resp.Status
		r.Pushback = r.Code == 429 || r.Code == 503
		r.Transient = r.Pushback || r.Code == 502 || r.Code == 504
		if resp.Body != nil && !p.env.DiscardBody {
			r.Body, _ = io.ReadAll(resp.Body) // what the library kept of it
		}
	}
}

// Check reports why t would end invalid.
func (p *wsProber) Check(t *muster.Target) error {
	if _, d := p.order(t, false); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the upgrade and the steps as they would be sent.
func (p *wsProber) Preview(t *muster.Target) (string, error) {
	at := *t
	at.Scheme = httpScheme(t.Scheme)
	head, err := p.upgrade.Preview(&at)
	if err != nil {
		return "", err
	}
	steps, err := p.steps.Preview(&at)
	if err != nil {
		return "", err
	}
	_, steps, _ = strings.Cut(steps, "\n")
	return strings.Replace(head, "# http", "# ws", 1) + steps, nil
}

var _ interface {
	muster.Prober
	Checker
	Previewer
} = (*wsProber)(nil)
