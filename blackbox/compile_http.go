package blackbox

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/probe"
)

const (
	// redirects is how many the exporter follows.
	redirects = 10
	// keptBody is what is kept of bodies that no rule looks at, matchedBody what rules look at at most.
	keptBody, matchedBody = 1 << 20, 64 << 20
	// largestBody is the largest limit that package probe takes.
	largestBody = 1 << 30
)

// noTokens is why oauth2 is refused where WebSockets are opened.
const noTokens = "muster fetches no tokens for WebSockets: have one written to a file, and name it in authorization.credentials_file"

func (c *compiler) http() (any, error) {
	m := &c.module.HTTP
	h := &probe.HTTP{
		Method: cmp.Or(m.Method, "GET"), Body: m.Body, BodyFile: absolute(m.BodyFile), BodyRaw: m.Body != "" || m.BodyFile != "",
		Decode: cmp.Or(strings.ToLower(m.Compression), "identity"), TLS: c.tls(m.TLS),
	}
	if m.follows() {
		h.Follow = redirects
	}
	switch {
	case m.EnableHTTP3:
		h.HTTP3 = true
	case m.EnableHTTP2 == nil || *m.EnableHTTP2:
		h.HTTP2 = probe.HTTP2Auto
	}
	c.httpHeaders(h)
	l := c.login(&m.httpClient, "http")
	if h.User, h.Password = l.user, l.password; l.authorization != "" {
		h.Header = append(h.Header, probe.Header{Name: "Authorization", Value: l.authorization})
	}
	if err := c.httpProxy(h); err != nil {
		return nil, err
	}
	if m.OAuth2 != nil {
		h.OAuth2 = c.oauth(m.OAuth2)
	}
	c.family(m.family)
	c.httpRules(h)
	c.bodyLimit(h)
	return h, nil
}

// oauth reads the login by tokens.
func (c *compiler) oauth(o *oauth2) *probe.OAuth2 {
	p := &probe.OAuth2{
		TokenURL: o.TokenURL, ClientID: o.ClientID, Scopes: o.Scopes, Proxy: o.proxy.URL, TLS: c.tls(o.TLS),
	}
	if o.ClientSecretFile != "" {
		p.ClientSecret = "file:" + absolute(o.ClientSecretFile)
	} else if o.ClientSecret != "" {
		p.ClientSecret = c.reference("http", "oauth2", "client_secret")
	}
	for _, name := range slices.Sorted(maps.Keys(o.EndpointParams)) {
		p.Params = append(p.Params, probe.Pair{Name: name, Value: o.EndpointParams[name]})
	}
	return p
}

func (m *httpProbe) follows() bool {
	if m.NoFollowRedirects != nil {
		return !*m.NoFollowRedirects
	}
	return m.FollowRedirects == nil || *m.FollowRedirects
}

// bodyLimit bounds what is kept, so that a module without a limit reads all and holds little.
func (c *compiler) bodyLimit(h *probe.HTTP) {
	m := &c.module.HTTP
	looks := len(m.BodyMatches)+len(m.BodyNotMatches) > 0 || m.JSONMatchesCEL != "" || m.JSONNotMatchesCEL != ""
	switch {
	case m.BodySizeLimit > 0:
		h.BodyLimit = int64(min(m.BodySizeLimit, largestBody))
	case looks:
		h.BodyLimit = matchedBody
	default:
		h.BodyLimit, h.Truncate, h.Drain = keptBody, true, true
	}
}

func (c *compiler) httpHeaders(h *probe.HTTP) {
	m := &c.module.HTTP
	given := func(name string) bool {
		return slices.ContainsFunc(h.Header, func(f probe.Header) bool { return strings.EqualFold(f.Name, name) })
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		value := literal(m.Headers[name])
		if action.Sensitive(name) {
			value = c.hidden("http", "headers", name)
		}
		if strings.EqualFold(name, "host") {
			h.Host = value
			h.TLS.ServerName = cmp.Or(h.TLS.ServerName, value)
			continue
		}
		h.Header = append(h.Header, probe.Header{Name: name, Value: value})
	}
	for _, name := range slices.Sorted(maps.Keys(m.HTTPHeaders)) {
		if value, ok := c.headerFrom(name, m.HTTPHeaders[name]); ok {
			h.Header = slices.DeleteFunc(h.Header, func(f probe.Header) bool { return strings.EqualFold(f.Name, name) })
			h.Header = append(h.Header, probe.Header{Name: name, Value: value})
		}
	}
	if !given("Accept") {
		h.Header = append(h.Header, probe.Header{Name: "Accept", Drop: true})
	}
}

// headerFrom returns the last of the values that the file gives for a header, as the exporter does.
func (c *compiler) headerFrom(name string, from headerFrom) (string, bool) {
	values := c.values(from, "http", "http_headers", name)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// login is how a client says who it is: a user with the reference of a password, or a value of Authorization.
type login struct{ user, password, authorization string }

// login reads the client's settings, which stand below the module at keys.
func (c *compiler) login(m *httpClient, keys ...string) (l login) {
	at := func(more ...string) []string { return append(slices.Clone(keys), more...) }
	switch {
	case m.BasicAuth != nil:
		b := m.BasicAuth
		if l.user = literal(b.Username); b.UsernameFile != "" {
			l.user = secretTemplate("file:" + absolute(b.UsernameFile))
		}
		if b.PasswordFile != "" {
			l.password = "file:" + absolute(b.PasswordFile)
		} else if b.Password != "" {
			l.password = c.reference(at("basic_auth", "password")...)
		}
	case m.Authorization != nil:
		a := m.Authorization
		kind := literal(cmp.Or(strings.TrimSpace(a.Type), "Bearer")) + " "
		if a.CredentialsFile != "" {
			l.authorization = kind + secretTemplate("file:"+absolute(a.CredentialsFile))
		} else if a.Credentials != "" {
			l.authorization = kind + c.hidden(at("authorization", "credentials")...)
		}
	case m.BearerTokenFile != "":
		l.authorization = "Bearer " + secretTemplate("file:"+absolute(m.BearerTokenFile))
	case m.BearerToken != "":
		l.authorization = "Bearer " + c.hidden(at("bearer_token")...)
	}
	return l
}

func (c *compiler) httpProxy(h *probe.HTTP) error {
	m := &c.module.HTTP
	proxy, except := m.URL, m.No
	if m.FromEnvironment {
		plain, secure := c.variable("http_proxy"), c.variable("https_proxy")
		if plain != secure && plain != "" && secure != "" {
			return c.errorf(".http.proxy_from_environment", "HTTP_PROXY and HTTPS_PROXY name two proxies: name one in proxy_url")
		}
		proxy, except = cmp.Or(plain, secure), c.variable("no_proxy")
	}
	if proxy == "" {
		return nil
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return c.errorf(".http.proxy_url", "want a URL such as http://HOST:PORT")
	}
	if u.User != nil {
		return c.errorf(".http.proxy_url", "%s: muster keeps no passwords in URLs: give Proxy-Authorization in proxy_connect_header", u.Redacted())
	}
	h.Proxy = literal(proxy)
	for name := range strings.SplitSeq(except, ",") {
		if name = strings.TrimSpace(name); name != "" {
			h.NoProxy = append(h.NoProxy, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.ConnectHeader)) {
		for i := range m.ConnectHeader[name] {
			h.ProxyHeader = append(h.ProxyHeader, probe.Header{Name: name, Value: c.hidden("http", "proxy_connect_header", name, strconv.Itoa(i))})
		}
	}
	return nil
}

// variable reads HTTP_PROXY and its like, in either case.
func (c *compiler) variable(name string) string {
	return cmp.Or(c.getenv(strings.ToUpper(name)), c.getenv(name))
}

// httpRules adds the rules in the order in which the exporter looks at them.
func (c *compiler) httpRules(h *probe.HTTP) {
	m := &c.module.HTTP
	if len(m.ValidStatusCodes) > 0 {
		c.check("valid_status_codes", "code in [%s]", list(m.ValidStatusCodes, strconv.Itoa))
	} else {
		c.check("valid_status_codes", "code >= 200 && code < 300")
	}
	for _, r := range m.HeaderMatches {
		c.headerRule("fail_if_header_matches", r, "none")
	}
	for _, r := range m.HeaderNotMatches {
		c.headerRule("fail_if_header_not_matches", r, "any")
	}
	for _, re := range m.BodyMatches {
		c.check(ruleName("fail_if_body_matches_regexp", string(re)), "not (body matches %s)", quote(re))
	}
	for _, re := range m.BodyNotMatches {
		c.check(ruleName("fail_if_body_not_matches_regexp", string(re)), "body matches %s", quote(re))
	}
	if x := string(m.JSONMatchesCEL); x != "" {
		c.cel("fail_if_body_json_matches_cel", x, "!("+x+"\n)")
	}
	if x := string(m.JSONNotMatchesCEL); x != "" {
		c.cel("fail_if_body_json_not_matches_cel", x, x)
	}
	if len(m.ValidHTTPVersions) > 0 {
		h.Details = true
		c.check("valid_http_versions", "http.version in [%s]", list(m.ValidHTTPVersions, quote))
	}
	if m.FailIfSSL {
		h.Details = true
		c.check("fail_if_ssl", "not http.tls")
	}
	if m.FailIfNotSSL {
		h.Details = true
		c.check("fail_if_not_ssl", "http.tls")
	}
}

func list[T any](items []T, write func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = write(item)
	}
	return strings.Join(texts, ", ")
}

// headerRule demands quantifier of a header's values. A missing header breaks the rule unless it is allowed.
func (c *compiler) headerRule(rule string, r headerMatch, quantifier string) {
	values := fmt.Sprintf("header_values(%s)", quote(r.Header))
	missing := "len(" + values + ") > 0 &&"
	if r.AllowMissing {
		missing = "len(" + values + ") == 0 ||"
	}
	c.check(ruleName(rule, r.Header), "%s %s(%s, # matches %s)", missing, quantifier, values, quote(r.Regexp))
}
