package probe

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/musterhq/muster"
)

// DefaultBodyLimit bounds the body of an answer: 1 MiB.
const DefaultBodyLimit = 1 << 20

// maxBodyLimit is the largest limit that can be asked for: bodies are held in memory.
const maxBodyLimit = 1 << 30

// HTTP is one HTTP request to each target. The zero value is a GET of the target's own
// path. All strings but Method, HTTP2, KeepHeaders and the file and secret references are
// templates of package vars.
//
// Without an expectation of the action's own an answer is ok when its status is below 400.
type HTTP struct {
	// Method is any method but CONNECT; "" is GET, or POST when there is a body.
	Method string `json:"method,omitempty"`
	// URL is a path such as "/status?x=1", which replaces the target's own, or a whole URL, which
	// replaces the target's scheme, host, port and path. "" keeps the target's path, else "/".
	// A fragment is not sent. Non-ASCII characters of the path are percent-encoded;
	// a space in it is an error.
	URL string `json:"url,omitempty"`
	// Scheme is "http" or "https" for targets that state none; "" is http.
	Scheme string `json:"scheme,omitempty"`
	// Port is for targets that state none; "" is the scheme's.
	Port string `json:"port,omitempty"`
	// Header fields are sent in this order, in place of a default of the same name. The length and
	// framing of the body cannot be set.
	Header []Header `json:"header,omitempty"`
	// Host is the Host field; "" is the host and port of the URL.
	Host string `json:"host,omitempty"`
	// UserAgent is the User-Agent field; "" is "muster".
	UserAgent string `json:"user_agent,omitempty"`

	// Body is sent as it is; its type is whatever Header says, else not stated.
	Body string `json:"body,omitempty"`
	// BodyFile is the path of a file with the body, read when the probe is compiled.
	BodyFile string `json:"body_file,omitempty"`
	// BodyRaw sends Body or BodyFile as it is, {{ included.
	BodyRaw bool `json:"body_raw,omitempty"`
	// Form is sent as a body of type application/x-www-form-urlencoded.
	Form []Pair `json:"form,omitempty"`

	// User is the name of basic authentication; "" is none.
	User string `json:"user,omitempty"`
	// Password is the secret reference of its password, such as "env:NAME".
	Password string `json:"password,omitempty"`
	// Bearer is the secret reference of a bearer token.
	Bearer string `json:"bearer,omitempty"`
	// Cookies are sent in one Cookie field.
	Cookies []Pair `json:"cookies,omitempty"`

	// Compressed asks for a compressed answer, and decompresses it.
	Compressed bool `json:"compressed,omitempty"`
	// Follow is how many redirects are followed; 0 is none: the redirect is the answer. Cookies
	// that they set are sent along.
	Follow int `json:"follow,omitempty"`
	// Proxy is the URL of an http, https or socks5 proxy; "" is none: the environment is not
	// asked. The target policy is held against the proxy's address and literal targets; a
	// name that the proxy resolves is out of its reach.
	Proxy string `json:"proxy,omitempty"`
	// ProxyUser and ProxyPassword, a secret reference, log in to the proxy.
	ProxyUser     string `json:"proxy_user,omitempty"`
	ProxyPassword string `json:"proxy_password,omitempty"`
	// NoProxy lists what is spoken to directly all the same: IPs, CIDRs, domains, each with or without a
	// port. With any, so are this machine's own addresses.
	NoProxy []string `json:"no_proxy,omitempty"`
	// ProxyHeader fields go to the proxy with CONNECT.
	ProxyHeader []Header `json:"proxy_header,omitempty"`
	// HTTP2 is "" for HTTP/1.1, "auto" to offer HTTP/2 over TLS, or "always", which over
	// plain HTTP takes the server's knowledge of it for granted.
	HTTP2 HTTP2 `json:"http2,omitempty"`
	// HTTP3 speaks HTTP/3 over QUIC, to https alone, which then is the scheme of targets that state none. Only programs
	// that are built with the tag http3 can.
	HTTP3 bool `json:"http3,omitempty"`
	// OAuth2 logs in with a token that a server hands out; nil does not.
	OAuth2 *OAuth2 `json:"oauth2,omitempty"`
	// TLS is how https is spoken. The zero value verifies against the system's roots.
	TLS TLS `json:"tls,omitzero"`

	// BodyLimit is the largest body in bytes, as sent and decompressed; 0 is DefaultBodyLimit.
	// A larger answer fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate cuts a larger answer at the limit, and marks it, instead.
	Truncate bool `json:"truncate,omitempty"`
	// Drain reads what follows a truncated answer too, without keeping it: it counts only when it is complete.
	Drain bool `json:"drain,omitempty"`
	// Decode takes the body for "gzip", "deflate" (without zlib's frame), "br" or "identity", whatever the
	// answer says of it, and leaves its charset alone. "" goes by the answer's header, as Compressed says.
	Decode string `json:"decode,omitempty"`
	// Details puts the fields http.version ("HTTP/2.0"), http.tls, of the last answer, and http.redirects into
	// the result.
	Details bool `json:"details,omitempty"`
	// KeepHeaders names the response headers to report, in any case; "*" is all.
	KeepHeaders []string `json:"keep_headers,omitempty"`
	// HeaderTimeout bounds the wait for the response's header once the request is written; 0 is
	// the attempt's own bound alone.
	HeaderTimeout muster.Duration `json:"header_timeout,omitempty"`
	// BodyTimeout bounds the reading of the body; 0 is the attempt's own bound alone.
	BodyTimeout muster.Duration `json:"body_timeout,omitempty"`
}

// Header is one field of a request.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	// Drop sends no field of this name, not even the default one.
	Drop bool `json:"drop,omitempty"`
}

// Pair is a named value of a form or a cookie.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// TLS is how a client speaks TLS. The zero value verifies the server's certificate against the
// system's roots and asks for TLS 1.2 or later.
type TLS struct {
	// CA is the path of a PEM file with the only roots to trust; "" is the system's.
	CA string `json:"ca,omitempty"`
	// Cert is the path of the client's PEM certificate chain; "" is none.
	Cert string `json:"cert,omitempty"`
	// Key is the path, or a secret reference such as "env:NAME", of its PEM key; "" is Cert.
	Key string `json:"key,omitempty"`
	// ServerName is the name to ask for and to verify; "" is the URL's host.
	ServerName string `json:"server_name,omitempty"`
	// Insecure takes any certificate.
	Insecure bool `json:"insecure,omitempty"`
	// MinVersion is "1.0", "1.1", "1.2" or "1.3"; "" is 1.2.
	MinVersion string `json:"min_version,omitempty"`
	// MaxVersion is one of them; "" is the latest.
	MaxVersion string `json:"max_version,omitempty"`
}

// HTTP2 says whether HTTP/2 is spoken.
type HTTP2 string

// The choices of [HTTP2].
const (
	HTTP2Off    HTTP2 = ""
	HTTP2Auto   HTTP2 = "auto"
	HTTP2Always HTTP2 = "always"
)

// UnmarshalJSON reads a choice; true is "always", false is off.
func (h *HTTP2) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*h = HTTP2Always
		return nil
	case "false":
		*h = HTTP2Off
		return nil
	}
	return json.Unmarshal(b, (*string)(h))
}

// ParseHeader reads a header as curl's -H does: "Name: value", "Name;" for an empty value, and
// "Name:" to drop the default field of that name.
func ParseHeader(s string) (Header, error) {
	name, value, ok := strings.Cut(s, ":")
	if !ok {
		if name, ok = strings.CutSuffix(s, ";"); !ok {
			return Header{}, muster.Errorf(muster.KindInvalid, "header %q: want NAME: VALUE", s)
		}
		return Header{Name: name}, errors.Join(checkHeaderName(name))
	}
	value = strings.Trim(value, " \t")
	return Header{Name: name, Value: value, Drop: value == ""}, checkHeaderName(name)
}

// Safe reports whether the method only looks: GET, HEAD, OPTIONS or TRACE.
func (h HTTP) Safe() bool {
	switch h.method() {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// Traits names the fields of Details.
func (h HTTP) Traits() Traits {
	if !h.Details {
		return Traits{}
	}
	return Traits{Fields: []string{fieldVersion, fieldTLS, fieldRedirects}}
}

func (h *HTTP) method() string {
	switch {
	case h.Method != "":
		return h.Method
	case h.Body != "" || h.BodyFile != "" || len(h.Form) > 0:
		return "POST"
	}
	return "GET"
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (h HTTP) Prober(env Env) (muster.Prober, error) { return compileHTTP(h, env) }
