package blackbox_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/musterhq/muster"
)

// site answers every path in another way.
func site(t *testing.T, tls *string, over <-chan struct{}) http.Handler {
	squeezed := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		io.WriteString(w, "healthy, squeezed")
		w.Close()
		return b.Bytes()
	}
	var gz, fl, br bytes.Buffer
	squeezed(gzip.NewWriter(&gz), &gz)
	fw, err := flate.NewWriter(&fl, 5)
	if err != nil {
		t.Fatal(err)
	}
	squeezed(fw, &fl)
	squeezed(brotli.NewWriter(&br), &br)
	mux := http.NewServeMux()
	text := func(path string, code int, body string, header ...string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, body)
		})
	}
	text("/ok", 200, "all healthy")
	text("/bad", 500, "Could not connect to database")
	text("/sick", 200, "Could not connect to database")
	text("/none", 204, "")
	text("/missing", 404, "not here")
	text("/json", 200, `{"foo": "bar", "n": 3}`, "Content-Type", "application/json")
	text("/cookies", 200, "healthy", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-State", "up", "X-State", "down")
	text("/state", 200, "healthy", "X-State", "up")
	text("/moved", 301, "", "Location", "/ok")
	text("/there", 302, "", "Location", "/sick")
	text("/loop", 302, "", "Location", "/loop")
	text("/nowhere", 302, "")
	text("/gzip", 200, gz.String(), "Content-Encoding", "gzip")
	text("/gzip-silent", 200, gz.String(), "Content-Type", "application/octet-stream")
	text("/gzip-lie", 200, "healthy", "Content-Encoding", "gzip")
	text("/deflate", 200, fl.String(), "Content-Encoding", "deflate")
	text("/br", 200, br.String(), "Content-Encoding", "br")
	text("/large", 200, strings.Repeat("healthy ", 200_000))
	text("/latin", 200, "healthy \xe9", "Content-Type", "text/html; charset=iso-8859-1")
	mux.HandleFunc("/secure", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, *tls+"/ok", http.StatusFound) })
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "prober" || password != "se{{cret" {
			w.WriteHeader(401)
		}
	})
	mux.HandleFunc("/bearer", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok-en" {
			w.WriteHeader(401)
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s accept=%q", r.Method, r.Host, r.Header.Get("X-Probe"), body, r.Header["Accept"])
	})
	hang := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { hang(r) })
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("healthy"))
		w.(http.Flusher).Flush()
		hang(r)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("healthy"))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

var paths = strings.Fields(`ok bad sick none missing json cookies state moved there loop nowhere gzip gzip-silent gzip-lie deflate br large
	latin secure auth bearer echo hang drip cut reset`)

const httpModules = `
modules:
  plain: {prober: http, timeout: 900ms}
  codes: {prober: http, timeout: 900ms, http: {valid_status_codes: [204, 404, 301, 500]}}
  no_codes: {prober: http, timeout: 900ms, http: {valid_status_codes: []}}
  post:
    prober: http
    timeout: 900ms
    http: {method: POST, body: 'a{{b}}', headers: {X-Probe: 'x{{y', Host: vhost.example}, fail_if_body_not_matches_regexp: ['^POST vhost.example x\{\{y a\{\{b\}\} accept=\[\]$']}
  no_follow: {prober: http, timeout: 900ms, http: {follow_redirects: no, valid_status_codes: [200, 301, 302]}}
  old_no_follow: {prober: http, timeout: 900ms, http: {no_follow_redirects: true}}
  sick: {prober: http, timeout: 900ms, http: {fail_if_body_matches_regexp: ['Could not connect to database', '(?i)SICK'], fail_if_body_not_matches_regexp: [healthy|bar]}}
  bytes: {prober: http, timeout: 900ms, http: {fail_if_body_not_matches_regexp: ['é$']}}
  no_cookies: {prober: http, timeout: 900ms, http: {fail_if_header_matches: [{header: set-cookie, allow_missing: true, regexp: '.*'}]}}
  state_up: {prober: http, timeout: 900ms, http: {fail_if_header_not_matches: [{header: X-State, regexp: '^up$'}]}}
  state_not_down: {prober: http, timeout: 900ms, http: {fail_if_header_matches: [{header: X-State, regexp: '^down$'}]}}
  state_maybe: {prober: http, timeout: 900ms, http: {fail_if_header_not_matches: [{header: X-State, regexp: 'p$', allow_missing: true}]}}
  not_ssl: {prober: http, timeout: 900ms, http: {fail_if_ssl: true, tls_config: {insecure_skip_verify: true}}}
  ssl: {prober: http, timeout: 900ms, http: {fail_if_not_ssl: true, tls_config: {ca_file: CA}}}
  ssl_404: {prober: http, timeout: 900ms, http: {fail_if_not_ssl: true, valid_status_codes: [404], tls_config: {insecure_skip_verify: true}}}
  distrust: {prober: http, timeout: 900ms}
  name: {prober: http, timeout: 900ms, http: {tls_config: {ca_file: CA, server_name: example.com}}}
  wrong_name: {prober: http, timeout: 900ms, http: {tls_config: {ca_file: CA, server_name: example.org}}}
  h2: {prober: http, timeout: 900ms, http: {valid_http_versions: [HTTP/2.0], tls_config: {insecure_skip_verify: true}}}
  h1: {prober: http, timeout: 900ms, http: {valid_http_versions: [HTTP/1.1, HTTP/1.0], enable_http2: false, tls_config: {insecure_skip_verify: true}}}
  h1_only: {prober: http, timeout: 900ms, http: {valid_http_versions: [HTTP/1.1], tls_config: {insecure_skip_verify: true}}}
  tls13: {prober: http, timeout: 900ms, http: {tls_config: {insecure_skip_verify: true, min_version: TLS13}}}
  gzip: {prober: http, timeout: 900ms, http: {compression: gzip, fail_if_body_not_matches_regexp: [squeezed]}}
  gzip_header: {prober: http, timeout: 900ms, http: {compression: gzip, headers: {Accept-Encoding: 'br;q=1.0, gzip;q=0.9'}}}
  deflate: {prober: http, timeout: 900ms, http: {compression: deflate}}
  br: {prober: http, timeout: 900ms, http: {compression: br}}
  identity: {prober: http, timeout: 900ms, http: {compression: identity}}
  small: {prober: http, timeout: 900ms, http: {body_size_limit: 11B}}
  limit: {prober: http, timeout: 900ms, http: {body_size_limit: 1MB, fail_if_body_not_matches_regexp: [a]}}
  auth: {prober: http, timeout: 900ms, http: {basic_auth: {username: prober, password: 'se{{cret'}}}
  auth_file: {prober: http, timeout: 900ms, http: {basic_auth: {username: prober, password_file: PASSWORD}}}
  auth_wrong: {prober: http, timeout: 900ms, http: {basic_auth: {username: prober, password: wrong}}}
  bearer: {prober: http, timeout: 900ms, http: {authorization: {credentials: tok-en}}}
  bearer_old: {prober: http, timeout: 900ms, http: {bearer_token: tok-en}}
  head: {prober: http, timeout: 900ms, http: {method: HEAD}}
  ip4_only: {prober: http, timeout: 900ms, http: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}}
  ip6_only: {prober: http, timeout: 900ms, http: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}
  ip6_first: {prober: http, timeout: 900ms, http: {preferred_ip_protocol: ip6}}
`

// TestHTTPAgreesWithTheExporter holds modules of all kinds against servers of all kinds.
func TestHTTPAgreesWithTheExporter(t *testing.T) {
	t.Parallel()
	targets, ca := sites(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("se{{cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, path := write(t, strings.NewReplacer(": CA", ": "+ca, "PASSWORD", password).Replace(httpModules))
	verdicts(t, f, exporter(t, path), targets)
}

// sites starts servers and returns what to ask of them, and the authority of those that speak TLS.
func sites(t *testing.T) (targets map[string]string, ca string) {
	t.Helper()
	var secure string
	over := make(chan struct{})
	handler := site(t, &secure, over)
	plain := httptest.NewServer(handler)
	h1, h2 := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	h2.EnableHTTP2 = true
	for _, s := range []*httptest.Server{plain, h1, h2} {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(s.Close)
		t.Cleanup(s.CloseClientConnections)
	}
	t.Cleanup(func() { close(over) }) // first of all
	h1.StartTLS()
	h2.StartTLS()
	secure = h1.URL
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h1.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	targets = map[string]string{
		"refused": "http://" + closedPort(t), "garbage": "http://" + says(t, "garbage\r\n\r\n"), "silence": "http://" + says(t, ""),
		"http 1.0": says(t, "HTTP/1.0 200 OK\r\n\r\nhealthy"), "no name": "http://name.invalid/",
		"plain over tls": strings.Replace(plain.URL, "http:", "https:", 1) + "/ok", "tls over plain": strings.Replace(h1.URL, "https:", "http:", 1) + "/ok",
		"named": strings.Replace(plain.URL, "127.0.0.1", "localhost", 1) + "/ok", "no path": plain.URL, "no scheme": strings.TrimPrefix(plain.URL, "http://") + "/ok",
	}
	for _, p := range paths {
		targets[p] = plain.URL + "/" + p
	}
	for _, p := range []string{"ok", "missing", "moved", "json"} {
		targets["tls "+p], targets["h2 "+p] = h1.URL+"/"+p, h2.URL+"/"+p
	}
	return targets, ca
}

// says starts a server that says one thing and closes.
func says(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			io.WriteString(c, text)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// TestRulesBeyondDebiansExporter covers what came after Debian's version; the verdicts are those of the exporter's own
// tests and documentation.
func TestRulesBeyondDebiansExporter(t *testing.T) {
	t.Parallel()
	targets, _ := sites(t)
	body := filepath.Join(t.TempDir(), "body.txt")
	token := filepath.Join(t.TempDir(), "token")
	for path, text := range map[string]string{body: "from {{a}} file", token: "tok-en\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, _ := write(t, strings.NewReplacer("BODY", body, "TOKEN", token).Replace(`
modules:
  cel: {prober: http, http: {fail_if_body_json_not_matches_cel: "body.foo == 'bar' && body.n == 3"}}
  cel_not: {prober: http, http: {fail_if_body_json_matches_cel: "body.foo == 'bar' // a comment"}}
  cel_type: {prober: http, http: {fail_if_body_json_not_matches_cel: "body.foo"}}
  cel_lacks: {prober: http, http: {fail_if_body_json_not_matches_cel: "body.nope == 1"}}
  body_file: {prober: http, http: {method: PUT, body_file: BODY, fail_if_body_not_matches_regexp: ['from \{\{a\}\} file']}}
  values: {prober: http, http: {headers: {X-Probe: old}, http_headers: {X-Probe: {values: [a, last]}}, fail_if_body_not_matches_regexp: [' last ']}}
  files: {prober: http, http: {http_headers: {Authorization: {values: [x], files: [TOKEN]}}}}
  bearer_file: {prober: http, http: {authorization: {credentials_file: TOKEN}}}
  bearer_type: {prober: http, http: {authorization: {type: Token, credentials_file: TOKEN}}}
`))
	for _, test := range []struct{ module, target, reason string }{
		{"cel", "json", ""},
		{"cel", "ok", "fail_if_body_json_not_matches_cel body.foo == 'bar' && body.n == 3 error: the body is no JSON"},
		{"cel_not", "json", "fail_if_body_json_matches_cel body.foo == 'bar' // a comment"},
		{"cel_type", "json", "fail_if_body_json_not_matches_cel body.foo error: yields string"},
		{"cel_lacks", "json", "fail_if_body_json_not_matches_cel body.nope == 1 error: no such key"},
		{"body_file", "echo", ""},
		{"values", "echo", ""},
		{"files", "bearer", "valid_status_codes"},
		{"bearer_file", "bearer", ""},
		{"bearer_type", "bearer", "valid_status_codes"},
	} {
		r := run(t, f, test.module, targets[test.target])
		if (r.Outcome == muster.OK) != (test.reason == "") || !strings.HasPrefix(r.Reason, test.reason) {
			t.Errorf("%s on %s: %v %q %q, want %q", test.module, test.target, r.Outcome, r.Reason, r.Detail, test.reason)
		}
	}
}
