package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// stdTransport does exchanges through net/http: HTTP/2, HTTP/3, proxies, redirects, cookies, and hosts
// that are not ASCII.
type stdTransport struct {
	p  *httpProber
	t  *http.Transport
	h3 http3Transport // nil without HTTP/3
}

// http3Transport does requests over HTTP/3.
type http3Transport interface {
	http.RoundTripper
	close()
}

func newStdTransport(p *httpProber) *stdTransport {
	s := &stdTransport{p: p}
	s.t = &http.Transport{
		DialContext:            dialHop,
		Proxy:                  p.proxyFor,
		ProxyConnectHeader:     p.through.header,
		TLSClientConfig:        p.tls.Clone(),
		DisableKeepAlives:      !p.env.ReuseHint || p.env.Repeat == muster.RepeatNever,
		DisableCompression:     true,
		MaxIdleConns:           max(idleLimit(p), 1), // 0 would mean no limit
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleFor,
		ResponseHeaderTimeout:  time.Duration(p.spec.HeaderTimeout),
		MaxResponseHeaderBytes: maxHead,
		Protocols:              protocols(p.spec.HTTP2),
	}
	if p.spec.HTTP3 {
		s.h3 = newHTTP3(p)
	}
	return s
}

func protocols(h HTTP2) *http.Protocols {
	ps := new(http.Protocols)
	ps.SetHTTP1(h != HTTP2Always)
	ps.SetHTTP2(h != HTTP2Off)
	ps.SetUnencryptedHTTP2(h == HTTP2Always)
	return ps
}

func (s *stdTransport) close() {
	s.t.CloseIdleConnections()
	if s.h3 != nil {
		s.h3.close()
	}
}

// run does the exchange of x.
func (s *stdTransport) run(ctx context.Context, x *exchange, t *muster.Target, r *muster.Result) {
	if x.req.addr.IsValid() {
		// A proxy would speak to an address that the dialer never sees.
		if e := s.p.env.Dialer.Check(x.req.addr); e != nil {
			fail(r, e)
			return
		}
	}
	h, d := s.newHop(x, t)
	if d != nil {
		d.result(r)
		return
	}
	actx, stop := context.WithDeadline(withHop(ctx, h), x.end)
	defer stop()
	h.stop = stop
	req, err := newStdRequest(httptrace.WithClientTrace(actx, h.trace()), x)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // its message holds the URL, which may hold a secret
		}
		(&defect{"invalid request", err}).result(r)
		return
	}
	tr, done := s.transport(h.serverName)
	defer done()
	var a answer
	if s.p.tokens != nil {
		err = s.p.tokens.authorize(actx, req)
	}
	if err == nil {
		a, err = s.do(req, tr, h)
		err = h.why(err)
	}
	h.report(r)
	switch {
	case err == nil:
		s.p.answered(r, a)
	case !cancel(ctx, r):
		failStd(r, err)
	}
}

// transport returns the shared transport, or one of its own for a server name of its own.
func (s *stdTransport) transport(serverName string) (_ http.RoundTripper, done func()) {
	if s.h3 != nil {
		return s.h3, func() {}
	}
	if s.p.sni == nil {
		return s.t, func() {}
	}
	t := s.t.Clone()
	t.TLSClientConfig.ServerName = serverName
	t.DisableKeepAlives = true
	return t, t.CloseIdleConnections
}

// dropSecrets takes out what another server than the target must not get. Package net/http does so for logins alone.
func (p *httpProber) dropSecrets(h http.Header) {
	for i := range p.fields {
		if f := &p.fields[i]; f.value != nil && f.value.Secret() {
			h.Del(f.name)
		}
	}
}

// hops returns what makes the requests of one attempt: a server name of its own is that of the first host alone,
// redirects to others go by their own names.
func (s *stdTransport) hops(tr http.RoundTripper, first string) http.RoundTripper {
	if s.h3 != nil || s.p.sni == nil {
		return tr
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == first {
			return tr.RoundTrip(req)
		}
		return s.t.RoundTrip(req)
	})
}

// roundTripper makes a function an [http.RoundTripper].
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// newHop prepares what the transport's callbacks need to know of this attempt.
func (s *stdTransport) newHop(x *exchange, t *muster.Target) (*hop, *defect) {
	h := &hop{p: s.p, started: x.started}
	if s.p.sni != nil {
		name, d := s.p.serverName(&x.req, t)
		if d != nil {
			return nil, d
		}
		h.serverName = name
	}
	if s.p.proxy == nil {
		return h, nil
	}
	text, err := s.p.proxy.Expand(t)
	if err != nil {
		return nil, expansionDefect(err)
	}
	if h.proxy, err = parseProxy(text); err != nil {
		return nil, &defect{"invalid proxy", err}
	}
	if s.p.spec.ProxyUser != "" {
		h.proxy.User = url.UserPassword(s.p.spec.ProxyUser, s.p.proxyPW.Reveal())
	}
	return h, nil
}

// newStdRequest reads the built request back, so that both paths send the same fields.
func newStdRequest(ctx context.Context, x *exchange) (*http.Request, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(x.req.raw)))
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if x.req.https {
		scheme = "https://"
	}
	if req.URL, err = url.Parse(scheme + string(appendAuthority(nil, &x.req)) + x.req.path); err != nil {
		return nil, err
	}
	req.RequestURI = ""
	if _, body, ok := bytes.Cut(x.req.raw, []byte("\r\n\r\n")); ok && len(body) > 0 {
		body = bytes.Clone(body) // a transport may read on after the exchange
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	} else {
		req.Body = http.NoBody
	}
	return req.WithContext(ctx), nil
}

var errRedirects = &fault{muster.FailProtocol, "too many redirects", "more redirects than follow allows", false}

// do sends the request, follows redirects and reads the answer.
func (s *stdTransport) do(req *http.Request, tr http.RoundTripper, h *hop) (a answer, err error) {
	c := http.Client{Transport: s.hops(tr, req.URL.Host), CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case s.p.spec.Follow == 0:
			return http.ErrUseLastResponse
		case len(via) > s.p.spec.Follow:
			return errRedirects
		}
		if next.URL.Host != via[0].URL.Host {
			s.p.dropSecrets(next.Header)
		}
		h.next()
		return nil
	}}
	if s.p.spec.Follow > 0 {
		c.Jar, _ = cookiejar.New(nil)
	}
	resp, err := c.Do(req)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return a, err
	}
	defer resp.Body.Close()
	if d := time.Duration(s.p.spec.BodyTimeout); d > 0 {
		defer time.AfterFunc(d, func() { h.expire(); h.stop() }).Stop()
	}
	if a, err = s.read(resp); s.p.spec.Details {
		a.fields = detailsOf(resp)
	}
	return a, err
}

// read reads the body under the limit.
func (s *stdTransport) read(resp *http.Response) (a answer, err error) {
	a.code, a.status = resp.StatusCode, statusText(resp.StatusCode, []byte(resp.Status))
	for _, v := range resp.Header["Content-Type"] {
		a.content.addType([]byte(v))
	}
	for _, v := range resp.Header["Content-Encoding"] {
		a.content.addCoding([]byte(v))
	}
	if s.p.response.keep != nil {
		for _, name := range sortedKeys(resp.Header) {
			for _, v := range resp.Header[name] {
				a.kept = s.p.response.keep.add(a.kept, []byte(name), []byte(v))
			}
		}
	}
	from := io.Reader(resp.Body)
	if s.p.spec.Decode != "" {
		a.content = content{}
		if from, err = s.p.spec.unpacked(resp.Body); err != nil {
			return a, err
		}
	}
	limit := s.p.response.limit
	if resp.ContentLength > limit && !s.p.spec.Truncate && !s.p.response.head && s.p.spec.Decode == "" {
		return a, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(from, limit+1))
	if int64(len(body)) > limit {
		if !s.p.spec.Truncate {
			return a, errTooLarge
		}
		body, a.truncated, err = body[:limit], true, nil
		if s.p.spec.Drain {
			_, err = io.Copy(io.Discard, from)
		}
	}
	if len(body) > 0 && !s.p.env.DiscardBody {
		a.body = slices.Clip(body)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutBody
	}
	return a, err
}

func sortedKeys(h http.Header) []string {
	names := make([]string, 0, len(h))
	for n := range h {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// failStd makes r the failure of a request through net/http, whose own faults are known by their text alone.
func failStd(r *muster.Result, err error) {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // its message holds the URL, which may hold a secret
	}
	if f, ok := errors.AsType[*fault](err); ok {
		fail(r, f)
		return
	}
	if isTLSError(err) {
		failTLS(r, err)
		return
	}
	switch text := err.Error(); {
	case strings.Contains(text, "response headers exceeded"):
		err = errHeadTooLarge
	case strings.Contains(text, "server closed idle connection"):
		err = errNoAnswer // before the request was written, which is no idling to us
	}
	fail(r, err)
}

// dialHop dials for the hop in ctx.
func dialHop(ctx context.Context, _, address string) (net.Conn, error) {
	h := hopOf(ctx)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ap, err := h.p.env.Dialer.Resolve(ctx, host, netip.Addr{}, uint16(n))
	if err != nil {
		return nil, dial.Classify(err, dial.PhaseResolve)
	}
	h.resolved(ap, time.Since(began))
	began = time.Now()
	ctx, stop := context.WithTimeout(ctx, h.p.env.ConnectTimeout)
	defer stop()
	c, err := h.p.env.Dialer.Dial(ctx, ap)
	h.connected(time.Since(began))
	return c, err
}
