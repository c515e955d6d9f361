package probe

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// problems collects errors of kind invalid.
type problems []error

func (p *problems) addIf(bad bool, format string, args ...any) {
	if bad {
		*p = append(*p, muster.Errorf(muster.KindInvalid, format, args...))
	}
}

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (h HTTP) Validate() error {
	var p problems
	m := h.method()
	p.addIf(!isTokenText(m), "method %q: want a word such as GET", m)
	p.addIf(m == "CONNECT", "method CONNECT: a tunnel is no request; proxy sets one up")
	h.validateURL(&p)
	h.validateHeaders(&p)
	h.validateBody(&p)
	h.validateAuth(&p)
	p.addIf(h.Follow < 0, "follow %d: want the number of redirects to follow", h.Follow)
	p.addIf(h.HTTP2 != HTTP2Off && h.HTTP2 != HTTP2Auto && h.HTTP2 != HTTP2Always, "http2 %q: want auto, always or nothing", string(h.HTTP2))
	p.addIf(h.HTTP3 && h.HTTP2 != HTTP2Off, "http2 and http3: want one of them")
	p.addIf(h.HTTP3 && h.Proxy != "", "http3: it does not go through a proxy")
	p.addIf(h.HTTP3 && h.Scheme == "http", "http3: it is spoken over https alone, want no scheme http")
	p.addIf(h.BodyLimit < 0 || h.BodyLimit > maxBodyLimit, "body_limit %d: want 1 to %d bytes", h.BodyLimit, maxBodyLimit)
	p.addIf(h.HeaderTimeout < 0, "header_timeout %v: want a positive duration", h.HeaderTimeout)
	p.addIf(h.BodyTimeout < 0, "body_timeout %v: want a positive duration", h.BodyTimeout)
	p.addIf(h.TLS.Key != "" && h.TLS.Cert == "", "tls key: it needs its certificate (tls cert)")
	h.TLS.validateVersions(&p)
	p.addIf(!slices.Contains(decodings, h.Decode), "decode %q: want gzip, deflate, br or identity", h.Decode)
	p.addIf(h.Drain && !h.Truncate, "drain: it needs truncate")
	return errors.Join(p...)
}

func isTemplate(s string) bool { return strings.Contains(s, "{{") }

func (h *HTTP) validateURL(p *problems) {
	p.addIf(h.Scheme != "" && h.Scheme != "http" && h.Scheme != "https" && !isTemplate(h.Scheme), "scheme %q: want http or https", h.Scheme)
	if !isTemplate(h.Port) && h.Port != "" {
		_, err := parsePort(h.Port)
		p.add(err)
	}
	if !isTemplate(h.URL) && h.URL != "" {
		_, err := splitURL(h.URL)
		p.add(err)
	}
	p.addIf(h.Proxy == "" && len(h.NoProxy)+len(h.ProxyHeader) > 0, "no_proxy and proxy_header: there is no proxy")
	for _, f := range h.ProxyHeader {
		p.add(checkHeaderName(f.Name))
	}
	if h.Proxy == "" || isTemplate(h.Proxy) {
		p.addIf(h.Proxy == "" && h.ProxyUser != "", "proxy_user: there is no proxy")
		return
	}
	_, err := parseProxy(h.Proxy)
	p.add(err)
}

func parseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	ok := err == nil && u.Host != "" && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
	switch {
	case !ok:
		return nil, muster.Errorf(muster.KindInvalid, "proxy %q: want http://HOST:PORT, https://… or socks5://…", s)
	case u.User != nil:
		return nil, muster.Errorf(muster.KindInvalid, "proxy %s: want no login in the URL; use proxy_user and proxy_password", u.Redacted())
	}
	return u, nil
}

// framingHeaders are computed from the body and cannot be set.
var framingHeaders = []string{"content-length", "transfer-encoding", "trailer"}

func (h *HTTP) validateHeaders(p *problems) {
	for _, f := range h.Header {
		p.add(checkHeaderName(f.Name))
		p.addIf(slices.Contains(framingHeaders, strings.ToLower(f.Name)), "header %s: it follows from the body and cannot be set", f.Name)
		if !isTemplate(f.Value) {
			p.add(checkHeaderValue("header "+f.Name, f.Value))
		}
	}
	for _, n := range h.KeepHeaders {
		p.addIf(n != "*" && !isTokenText(n), "keep_headers %q: want a header's name or *", n)
	}
	for _, c := range h.Cookies {
		p.addIf(!isTokenText(c.Name), "cookie %q: want a name of letters, digits and hyphens", c.Name)
		p.addIf(!isTemplate(c.Value) && strings.ContainsAny(c.Value, "; ,\"\\"), "cookie %s: the value must not hold blanks, quotes, commas or semicolons", c.Name)
	}
}

func (h *HTTP) validateBody(p *problems) {
	n := 0
	for _, given := range []bool{h.Body != "", h.BodyFile != "", len(h.Form) > 0} {
		if given {
			n++
		}
	}
	p.addIf(n > 1, "body, body_file and form: want one of them")
	p.addIf(n > 0 && h.Method == "TRACE", "method TRACE: it has no body")
	for _, f := range h.Form {
		p.addIf(f.Name == "", "form: a field has no name")
	}
}

func (h *HTTP) validateAuth(p *problems) {
	p.addIf(h.User != "" && h.Bearer != "", "user and bearer: want one of them")
	p.addIf(h.User == "" && h.Password != "", "password: it needs a user")
	p.addIf(h.ProxyUser == "" && h.ProxyPassword != "", "proxy_password: it needs a proxy_user")
	refs := map[string]string{"password": h.Password, "bearer": h.Bearer, "proxy_password": h.ProxyPassword}
	if h.OAuth2 != nil {
		p.addIf(h.User != "" || h.Bearer != "", "oauth2: it is a login by itself, want no user and no bearer")
		h.OAuth2.validate(p)
		refs["oauth2 client_secret"] = h.OAuth2.ClientSecret
	}
	for name, ref := range refs {
		kind, _, ok := strings.Cut(ref, ":")
		p.addIf(ref != "" && (!ok || kind == ""), "%s: want a reference such as env:NAME or file:PATH, never the secret itself", name)
	}
}

func isTokenText(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

func checkHeaderName(name string) error {
	if !isTokenText(name) {
		return muster.Errorf(muster.KindInvalid, "header %q: want a name of letters, digits and hyphens", name)
	}
	return nil
}

// checkHeaderValue keeps a value from ending its line. what names the header, and the value is not
// shown: it may be a secret.
func checkHeaderValue[T string | []byte](what string, v T) error {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return muster.Errorf(muster.KindInvalid, "%s: a control character (%q) at byte %d of the value", what, rune(c), i+1)
		}
	}
	return nil
}
