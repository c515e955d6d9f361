package blackbox

import (
	"errors"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/probe"
	"github.com/musterhq/muster/strictyaml"
)

// File is a configuration file that has been read and checked.
type File struct {
	path    string
	doc     *strictyaml.Document
	modules map[string]module
}

// Parse reads a configuration and checks all of its modules. path is the file's, for messages and for references to
// the secrets in it. The error joins all mistakes, each with its place and the path of its key.
func Parse(path string, text []byte) (*File, error) {
	doc, err := strictyaml.Reader{YAML11: true}.Parse(path, text)
	if err != nil {
		return nil, err
	}
	var c config
	if err := doc.Decode(&c); err != nil {
		return nil, err
	}
	f := &File{path: path, doc: doc, modules: c.Modules}
	if abs, err := filepath.Abs(path); err == nil {
		f.path = abs
	}
	var errs []error
	for _, name := range f.Names() {
		v := validator{doc: doc, path: "modules." + name}
		v.module(c.Modules[name])
		errs = append(errs, v.errs...)
	}
	return f, errors.Join(errs...)
}

// Names returns the names of the modules, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.modules)) }

// Compile makes the named module an action with its plan. getenv reads the environment, for
// proxy_from_environment.
func (f *File) Compile(name string, getenv func(string) string) (action.File, error) {
	m, ok := f.modules[name]
	if !ok {
		hint := "; there are " + strings.Join(f.Names(), ", ")
		if near := strictyaml.Nearest(name, f.Names()); near != "" {
			hint = ", did you mean " + near + "?"
		}
		return action.File{}, muster.Errorf(muster.KindNotFound, "%s: there is no module %q%s", f.path, name, hint)
	}
	c := &compiler{file: f, name: name, module: m, getenv: getenv}
	c.plan.Timeout, c.plan.ConnectTimeout = m.Timeout, m.Timeout
	c.plan.Repeat = muster.RepeatSafe // a module is made to be run again and again
	spec, err := c.compile()
	if err != nil {
		return action.File{}, err
	}
	return c.finish(spec)
}

// validator finds what is wrong with a module beyond the types of its values.
type validator struct {
	doc  *strictyaml.Document
	path string
	errs []error
}

func (v *validator) badIf(bad bool, key, format string, args ...any) {
	if bad {
		v.errs = append(v.errs, v.doc.Errorf(v.path+key, format, args...))
	}
}

// probers are those of the exporter.
var probers = []string{"dns", "grpc", "http", "icmp", "tcp", "unix", "websocket"}

func (v *validator) module(m module) {
	if !slices.Contains(probers, m.Prober) {
		hint := ""
		if near := strictyaml.Nearest(m.Prober, probers); near != "" {
			hint = ", did you mean " + near + "?"
		}
		v.badIf(true, ".prober", "%q: want one of %s%s", m.Prober, strings.Join(probers, ", "), hint)
	}
	v.badIf(m.Timeout < 0, ".timeout", "%v: want a positive duration", m.Timeout)
	v.http(m.HTTP)
	v.client(m.HTTP.httpClient, ".http")
	v.client(m.Websocket.HTTP, ".websocket.http_config")
	for _, d := range []struct {
		key   string
		steps []queryResponse
	}{{".tcp", m.TCP.QueryResponse}, {".unix", m.Unix.QueryResponse}, {".websocket", m.Websocket.QueryResponse}} {
		for i, q := range d.steps {
			v.badIf(q.Expect != nil && q.ExpectBytes != "", index(d.key+".query_response", i), "expect and expect_bytes: want one of them")
		}
	}
	v.badIf(m.ICMP.TTL != nil && (*m.ICMP.TTL < 0 || *m.ICMP.TTL > 255), ".icmp.ttl", "want 0 to 255")
	v.badIf(m.ICMP.PayloadSize < 0, ".icmp.payload_size", "want 0 or more bytes")
	v.dns(m)
	for key, source := range map[string]string{".tcp": m.TCP.Source, ".icmp": m.ICMP.Source, ".dns": m.DNS.Source} {
		_, err := netip.ParseAddr(source)
		v.badIf(source != "" && err != nil, key+".source_ip_address", "%q: want an IP address of this machine", source)
	}
}

func (v *validator) http(h httpProbe) {
	for i, code := range h.ValidStatusCodes {
		v.badIf(code < 100 || code > 999, index(".http.valid_status_codes", i), "%d: want an HTTP status such as 200", code)
	}
	v.badIf(h.Body != "" && h.BodyFile != "", ".http.body_file", "body and body_file: want one of them")
	v.badIf(!slices.Contains(compressions, strings.ToLower(h.Compression)), ".http.compression", "%q: want gzip, br, deflate or identity", h.Compression)
	for name, value := range h.Headers {
		v.badIf(strings.EqualFold(name, "accept-encoding") && !accepts(value, h.Compression), ".http.headers."+name,
			"%q does not accept compression %s", value, h.Compression)
	}
	for key, rules := range map[string][]headerMatch{".http.fail_if_header_matches": h.HeaderMatches, ".http.fail_if_header_not_matches": h.HeaderNotMatches} {
		for i, r := range rules {
			v.badIf(r.Header == "", index(key, i)+".header", "want the name of a header")
			v.badIf(r.Regexp == "", index(key, i)+".regexp", "want a regular expression")
		}
	}
	h2 := h.EnableHTTP2 == nil || *h.EnableHTTP2
	v.badIf(h.EnableHTTP3 && h2, ".http.enable_http3", "with it enable_http2 must be false")
	for i, version := range h.ValidHTTPVersions {
		v.badIf(!h.EnableHTTP3 && version == "HTTP/3.0", index(".http.valid_http_versions", i), "HTTP/3.0 needs enable_http3")
		v.badIf(h.EnableHTTP3 && (version == "HTTP/2.0" || version == "HTTP/1.1"), index(".http.valid_http_versions", i), "%s: with enable_http3 there is only HTTP/3.0", version)
	}
}

func (v *validator) client(h httpClient, key string) {
	var ways []string
	for _, way := range []struct {
		name  string
		given bool
	}{
		{"basic_auth", h.BasicAuth != nil},
		{"authorization", h.Authorization != nil},
		{"oauth2", h.OAuth2 != nil},
		{"bearer_token", h.BearerToken != ""},
		{"bearer_token_file", h.BearerTokenFile != ""},
	} {
		if way.given {
			ways = append(ways, way.name)
		}
	}
	v.badIf(len(ways) > 1, key, "%s: want one of them", strings.Join(ways, ", "))
	if b := h.BasicAuth; b != nil {
		v.badIf(b.Username != "" && b.UsernameFile != "", key+".basic_auth", "username and username_file: want one of them")
		v.badIf(b.Password != "" && b.PasswordFile != "", key+".basic_auth", "password and password_file: want one of them")
	}
	if a := h.Authorization; a != nil {
		v.badIf(a.Credentials != "" && a.CredentialsFile != "", key+".authorization", "credentials and credentials_file: want one of them")
		v.badIf(strings.EqualFold(strings.TrimSpace(a.Type), "basic"), key+".authorization.type", "Basic is given as basic_auth")
	}
	u, err := url.Parse(h.URL)
	v.badIf(h.URL != "" && (err != nil || u.Host == ""), key+".proxy_url", "want a URL such as http://HOST:PORT")
	v.badIf(h.FromEnvironment && (h.URL != "" || h.No != ""), key+".proxy_from_environment", "proxy_url and no_proxy say otherwise: want one of them")
	v.badIf(h.URL == "" && h.No != "", key+".no_proxy", "there is no proxy_url")
	v.badIf(h.URL == "" && !h.FromEnvironment && len(h.ConnectHeader) > 0, key+".proxy_connect_header", "there is no proxy_url")
	t := h.TLS
	v.badIf((t.CertFile == "") != (t.KeyFile == ""), key+".tls_config", "cert_file and key_file: want both or none")
	v.badIf(t.Min != "" && t.Max != "" && t.Min > t.Max, key+".tls_config.max_version", "it is below min_version")
}

func (v *validator) dns(m module) {
	d := m.DNS
	if m.Prober != "dns" && !v.doc.Has(v.path+".dns") {
		return
	}
	v.badIf(d.QueryName == "", ".dns.query_name", "want the name to ask for")
	for i, rcode := range d.ValidRcodes {
		_, err := probe.ParseRcode(rcode)
		v.badIf(err != nil, index(".dns.valid_rcodes", i), "%q: want a name such as NOERROR or NXDOMAIN", rcode)
	}
	err := probe.DNS{Name: "example", Type: d.QueryType, Class: d.QueryClass}.Validate()
	v.badIf(err != nil, ".dns", "query_type and query_class: %v", err)
	v.badIf(!slices.Contains([]string{"", "udp", "tcp"}, d.Transport), ".dns.transport_protocol", "%q: want udp or tcp", d.Transport)
	v.badIf(d.DNSOverTLS && d.Transport != "tcp", ".dns.dns_over_tls", "it needs transport_protocol tcp")
}
