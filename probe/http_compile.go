package probe

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// maxBodyFile bounds a request body read from a file.
const maxBodyFile = 64 << 20

// httpProber is a compiled [HTTP]. It is immutable but for its pools.
type httpProber struct {
	env  Env
	spec HTTP

	method   string
	url      urlTemplate
	scheme   *vars.Template
	port     *vars.Template
	host     *vars.Template // nil: of the URL
	fields   []field        // all but Host and Content-Length
	body     *vars.Template // nil: none, raw or form
	rawBody  string
	form     []formField
	tail     []byte // what follows the Host field, when it is the same for every target
	response responseConfig
	tls      *tls.Config
	sni      *vars.Template
	proxy    *vars.Template
	proxyPW  muster.Secret
	through  proxying
	lean     bool // the exchange needs nothing of net/http

	exchanges exchangePool
	idle      *idlePool     // nil without reuse
	std       *stdTransport // nil when lean
	tokens    *tokens       // nil without oauth2
}

// field is one field of the request. A secret one is shown redacted.
type field struct {
	name  string
	value *vars.Template
	// basic makes the value the user of a basic login with the password secret; prefix and secret alone
	// are a bearer login.
	basic  bool
	prefix string
	secret muster.Secret
}

type formField struct {
	name  string // escaped
	value *vars.Template
}

// urlTemplate is the URL parameter, parsed as far as it is the same for every target.
type urlTemplate struct {
	text   *vars.Template // nil when static
	static urlParts
	isPath bool // every expansion is a path
}

func compileHTTP(h HTTP, env Env) (*httpProber, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if h.HTTP3 && !hasHTTP3 {
		return nil, muster.Errorf(muster.KindInvalid, "http3: this program was built without HTTP/3: go build -tags http3 ./cmd/muster makes one that has it")
	}
	p := &httpProber{env: env.withDefaults(h.Safe()), spec: h, method: h.method()}
	c := compiler{p: p, parser: vars.Parser{Secret: env.Secret}}
	c.address()
	c.request()
	c.payload()
	c.transport()
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return p, p.finish()
}

// finish derives what only an error-free prober can.
func (p *httpProber) finish() error {
	p.response = responseConfig{
		head: p.method == "HEAD", limit: cmp.Or(p.spec.BodyLimit, DefaultBodyLimit), truncate: p.spec.Truncate,
		discard: p.env.DiscardBody, keep: newKeepSet(append(p.spec.KeepHeaders[:len(p.spec.KeepHeaders):len(p.spec.KeepHeaders)], p.env.KeepHeaders...)...),
	}
	p.lean = p.spec.Follow == 0 && p.spec.Proxy == "" && p.spec.HTTP2 == HTTP2Off && !p.spec.HTTP3 && !p.spec.looksCloser()
	if p.env.ReuseHint && p.lean {
		p.idle = newIdlePool(idleLimit(p), p.env.Dialer)
	}
	p.std = newStdTransport(p)
	if !p.fixedTail() {
		return nil
	}
	tail, err := p.appendTail(nil, &muster.Target{}, false)
	p.tail = tail
	return err
}

// fixedTail reports whether what follows the Host field is the same for every target.
func (p *httpProber) fixedTail() bool {
	ts := []*vars.Template{p.body}
	for _, f := range p.fields {
		ts = append(ts, f.value)
	}
	for _, f := range p.form {
		ts = append(ts, f.value)
	}
	for _, t := range ts {
		if t != nil && t.Names() != nil {
			return false
		}
	}
	return true
}

// Close ends the idle connections.
func (p *httpProber) Close() error {
	if p.idle != nil {
		p.idle.close()
	}
	p.std.close()
	if p.tokens != nil {
		p.tokens.close()
	}
	return nil
}

// compiler collects the errors of a compilation.
type compiler struct {
	p      *httpProber
	parser vars.Parser
	errs   []error
}

func (c *compiler) add(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

// parse returns the template of a parameter.
func (c *compiler) parse(name, text string) *vars.Template {
	t, err := c.parser.Parse(name, text)
	c.add(err)
	return t
}

// parseIf is parse, and nil for an absent parameter.
func (c *compiler) parseIf(name, text string) *vars.Template {
	if text == "" {
		return nil
	}
	return c.parse(name, text)
}

func (c *compiler) secret(name, ref string) muster.Secret {
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

// headerSecret is a secret that goes into a header field.
func (c *compiler) headerSecret(name, ref string) muster.Secret {
	s := c.secret(name, ref)
	c.add(checkHeaderValue(name+" "+ref, s.Reveal()))
	return s
}

func (c *compiler) address() {
	p, h := c.p, &c.p.spec
	p.scheme = c.parseIf("scheme", h.Scheme)
	p.port = c.parseIf("port", h.Port)
	p.host = c.parseIf("host", h.Host)
	p.sni = c.parseIf("tls server_name", h.TLS.ServerName)
	p.proxy = c.parseIf("proxy", h.Proxy)
	p.proxyPW = c.headerSecret("proxy_password", h.ProxyPassword)
	c.proxying()
	if isTemplate(h.URL) {
		p.url.text = c.parse("url", h.URL)
		p.url.isPath = h.URL[0] == '/' || h.URL[0] == '?'
		return
	}
	p.url.isPath = true
	if h.URL != "" {
		parts, err := splitURL(h.URL)
		c.add(err)
		p.url.static, p.url.isPath = parts, parts.scheme == ""
	}
}

// request compiles the header: defaults first, each unless the spec names its field.
func (c *compiler) request() {
	h := &c.p.spec
	c.defaultField("User-Agent", cmp.Or(h.UserAgent, "muster"), true)
	c.defaultField("Accept", "*/*", true)
	c.defaultField("Accept-Encoding", "gzip, deflate", h.Compressed)
	c.defaultField("Content-Type", "application/x-www-form-urlencoded", len(h.Form) > 0)
	c.defaultField("Cookie", joinCookies(h.Cookies), len(h.Cookies) > 0)
	c.login()
	for _, f := range h.Header {
		switch {
		case f.Drop:
		case strings.EqualFold(f.Name, "host"):
			c.p.host = c.parse("header Host", f.Value)
		default:
			c.p.fields = append(c.p.fields, field{name: f.Name, value: c.parse("header "+f.Name, f.Value)})
		}
	}
	c.defaultField("Connection", "close", !c.p.env.ReuseHint && h.HTTP2 == HTTP2Off && !h.HTTP3 && h.Follow == 0)
}

func (c *compiler) defaultField(name, text string, wanted bool) {
	if !wanted || c.overridden(name) {
		return
	}
	c.p.fields = append(c.p.fields, field{name: name, value: c.parse("header "+name, text)})
}

func (c *compiler) overridden(name string) bool {
	for _, f := range c.p.spec.Header {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

func (c *compiler) login() {
	h := &c.p.spec
	if c.overridden("Authorization") {
		return
	}
	switch {
	case h.User != "":
		c.p.fields = append(c.p.fields, field{
			name: "Authorization", value: c.parse("user", h.User), basic: true, prefix: "Basic ", secret: c.headerSecret("password", h.Password),
		})
	case h.Bearer != "":
		c.p.fields = append(c.p.fields, field{name: "Authorization", prefix: "Bearer ", secret: c.headerSecret("bearer", h.Bearer)})
	}
}

func joinCookies(cs []Pair) string {
	var b strings.Builder
	for i, c := range cs {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.Name + "=" + c.Value)
	}
	return b.String()
}

func (c *compiler) payload() {
	p, h := c.p, &c.p.spec
	name, text := "body", h.Body
	if h.BodyFile != "" {
		name, text = "body_file "+h.BodyFile, c.readBody(h.BodyFile)
	}
	for _, f := range h.Form {
		p.form = append(p.form, formField{escapeQuery(f.Name), c.parse("form "+f.Name, f.Value)})
	}
	if text == "" {
		return
	}
	if h.BodyRaw {
		p.rawBody = text
		return
	}
	t, err := c.parser.Parse(name, text)
	if err != nil {
		err = fmt.Errorf("%w (body_raw sends it as it is)", err)
	}
	c.add(err)
	p.body = t
}

func (c *compiler) readBody(path string) string {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxBodyFile {
		err = fmt.Errorf("larger than %d MiB", maxBodyFile>>20)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		c.add(muster.Errorf(muster.KindInvalid, "body_file %s: %w", path, err))
	}
	return string(b)
}

func (c *compiler) transport() {
	cfg, err := clientTLS(c.p.spec.TLS, c.secret)
	c.add(err)
	c.p.tls = cfg
	if o := c.p.spec.OAuth2; o != nil {
		c.p.tokens = c.oauth(o, c.p.env)
	}
}

// appendValue appends the field's value, or what may be shown of it.
func (f *field) appendValue(dst []byte, t *muster.Target, redact bool) ([]byte, error) {
	dst = append(dst, f.prefix...)
	switch {
	case f.value == nil || f.basic && redact:
		if redact {
			return append(dst, f.secret.String()...), nil
		}
		return append(dst, f.secret.Reveal()...), nil
	case !f.basic:
		return expand(dst, f.value, t, redact)
	}
	login, err := expand(nil, f.value, t, redact)
	if err != nil {
		return dst, err
	}
	login = append(append(login, ':'), f.secret.Reveal()...)
	return base64.StdEncoding.AppendEncode(dst, login), nil
}

// expand appends a template's text, or what may be shown of it.
func expand(dst []byte, tpl *vars.Template, t *muster.Target, redact bool) ([]byte, error) {
	if !redact {
		return tpl.Append(dst, t)
	}
	s, err := tpl.Redacted(t)
	return append(dst, s...), err
}
