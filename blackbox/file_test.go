package blackbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/blackbox"
)

func noEnvironment(string) string { return "" }

// TestParseMistakes: every mistake has its place, its path and the way out.
func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ module, want string }{
		{"{prober: http, http: {valid_status_code: [200]}}", "f:2:28: modules.m.http.valid_status_code: unknown key, did you mean valid_status_codes?"},
		{"{prober: htp}", `modules.m.prober: "htp": want one of dns, grpc, http, icmp, tcp, unix, websocket, did you mean http?`},
		{"{}", `modules.m.prober: "": want one of`},
		{"{prober: http, timeout: 5}", `modules.m.timeout: duration "5": want a number with a unit`},
		{"{prober: http, http: {valid_status_codes: 200}}", `modules.m.http.valid_status_codes: "200": want a list`},
		{"{prober: http, http: {valid_status_codes: [2xx]}}", `modules.m.http.valid_status_codes[0]: "2xx": want a whole number`},
		{"{prober: http, http: {valid_status_codes: [20]}}", "modules.m.http.valid_status_codes[0]: 20: want an HTTP status"},
		{"{prober: http, http: {fail_if_body_matches_regexp: [a, '(']}}", "modules.m.http.fail_if_body_matches_regexp[1]: error parsing regexp"},
		{"{prober: http, http: {fail_if_body_json_matches_cel: 'body.'}}", "modules.m.http.fail_if_body_json_matches_cel: cel: "},
		{"{prober: http, http: {fail_if_header_matches: [{regexp: a}]}}", "modules.m.http.fail_if_header_matches[0].header: want the name"},
		{"{prober: http, http: {fail_if_header_matches: [{header: a}]}}", "modules.m.http.fail_if_header_matches[0].regexp: want a regular expression"},
		{"{prober: http, http: {preferred_ip_protocol: ipv6}}", `modules.m.http.preferred_ip_protocol: "ipv6": want ip4 or ip6`},
		{"{prober: http, http: {body: a, body_file: b}}", "modules.m.http.body_file: body and body_file: want one of them"},
		{"{prober: http, http: {compression: lz4}}", `modules.m.http.compression: "lz4": want gzip, br, deflate or identity`},
		{"{prober: http, http: {compression: gzip, headers: {accept-encoding: 'br, gzip;q=0.0'}}}", "modules.m.http.headers.accept-encoding: "},
		{"{prober: http, http: {body_size_limit: 10XB}}", `modules.m.http.body_size_limit: "10XB": want a size such as 10MB`},
		{"{prober: http, http: {tls_config: {min_version: TLS14}}}", `modules.m.http.tls_config.min_version: "TLS14": want TLS10`},
		{"{prober: http, http: {tls_config: {min_version: TLS13, max_version: TLS12}}}", "modules.m.http.tls_config.max_version: it is below"},
		{"{prober: http, http: {basic_auth: {username: a}, bearer_token: b}}", "modules.m.http: basic_auth, bearer_token: want one of them"},
		{"{prober: http, http: {authorization: {type: basic, credentials: x}}}", "modules.m.http.authorization.type: Basic is given as basic_auth"},
		{"{prober: http, http: {enable_http3: true}}", "modules.m.http.enable_http3: with it enable_http2 must be false"},
		{"{prober: http, http: {valid_http_versions: [HTTP/3.0]}}", "modules.m.http.valid_http_versions[0]: HTTP/3.0 needs enable_http3"},
		{"{prober: http, http: {no_proxy: a}}", "modules.m.http.no_proxy: there is no proxy_url"},
		{"{prober: tcp, tcp: {query_response: [{expect: '('}]}}", "modules.m.tcp.query_response[0].expect: error parsing regexp"},
		{"{prober: tcp, tcp: {query_response: [{expect: a, expect_bytes: b}]}}", "modules.m.tcp.query_response[0]: expect and expect_bytes"},
		{"{prober: tcp, tcp: {source_ip_address: here}}", `modules.m.tcp.source_ip_address: "here": want an IP address`},
		{"{prober: icmp, icmp: {ttl: 256}}", "modules.m.icmp.ttl: want 0 to 255"},
		{"{prober: dns}", "modules.m.dns.query_name: want the name to ask for"},
		{"{prober: dns, dns: {query_name: a, dns_over_tls: true}}", "modules.m.dns.dns_over_tls: it needs transport_protocol tcp"},
		{"{prober: dns, dns: {query_name: a, validate_answer_rrs: {fail_if_matches_regexp: ['(']}}}", "modules.m.dns.validate_answer_rrs.fail_if_matches_regexp[0]: "},
	} {
		_, err := blackbox.Parse("f", []byte("modules:\n  m: "+test.module))
		if err == nil || !strings.Contains(err.Error(), test.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: %v\nwant %q", test.module, err, test.want)
		}
	}
}

// TestCompileMistakes: what muster does not do is refused with the path of its key.
func TestCompileMistakes(t *testing.T) {
	t.Parallel()
	f, err := blackbox.Parse("f", []byte(`
modules:
  token: {prober: websocket, websocket: {http_config: {oauth2: {client_id: a, client_secret: b, token_url: http://c/}}}}
  socket: {prober: unix, unix: {query_response: [{send: PING}, {expect: PONG}]}}
  login: {prober: http, http: {proxy_url: "http://user:topsecret@proxy:1/"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]string{
		"token": "modules.token.websocket.http_config.oauth2: muster fetches no tokens", "socket": "modules.socket.prober: ",
		"tokn": `there is no module "tokn", did you mean token?`, "login": "modules.login.http.proxy_url: ",
	} {
		_, err := f.Compile(module, noEnvironment)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v, want %q", module, err, want)
		}
	}
}

// TestSecretsStayInTheFile: neither the action nor what is printed of it holds one.
func TestSecretsStayInTheFile(t *testing.T) {
	t.Parallel()
	f, _ := write(t, `
modules:
  a/b~c:
    prober: http
    http:
      headers: {Cookie: topsecret, X-Api-Key: topsecret, X-Plain: shown}
      http_headers: {X-Key: {values: [a], secrets: [x, topsecret]}, X-Token: {values: [topsecret]}}
      basic_auth: {username: me, password: topsecret}
      proxy_url: http://127.0.0.1:1
      no_proxy: example.com, 10.0.0.0/8
      proxy_connect_header: {Proxy-Authorization: [Basic topsecret]}
`)
	saved, err := f.Compile("a/b~c", noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	text, err := action.Format(saved)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "topsecret") || !strings.Contains(string(text), "shown") {
		t.Errorf("%s", text)
	}
	var with struct {
		Password string
		NoProxy  []string `json:"no_proxy"`
	}
	if err := json.Unmarshal(saved.With, &with); err != nil {
		t.Fatal(err)
	}
	if len(with.NoProxy) != 2 {
		t.Errorf("no_proxy %q", with.NoProxy)
	}
	s, err := blackbox.Secret(strings.TrimPrefix(with.Password, blackbox.SecretKind+":"))
	if err != nil || s.Reveal() != "topsecret" {
		t.Errorf("%s: %q, %v", with.Password, s.Reveal(), err)
	}
	for _, ref := range []string{"nothing", "/no/such/file#/a", strings.TrimPrefix(with.Password, "module:") + "x"} {
		if _, err := blackbox.Secret(ref); err == nil {
			t.Errorf("%s: no error", ref)
		}
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	t.Parallel()
	f, _ := write(t, "modules: {m: {prober: http, http: {proxy_from_environment: true}}}")
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"HTTP_PROXY": "http://p:1", "no_proxy": "a,b"}, `"proxy":"http://p:1","no_proxy":["a","b"]`},
		{map[string]string{"https_proxy": "http://p:1", "http_proxy": "http://p:1"}, `"proxy":"http://p:1"`},
		{map[string]string{"https_proxy": "http://p:1", "http_proxy": "http://q:1"}, "error"},
	} {
		saved, err := f.Compile("m", func(name string) string { return test.env[name] })
		if (err != nil) != (test.want == "error") || err == nil && !strings.Contains(string(saved.With), test.want) {
			t.Errorf("%v: %s %v", test.env, saved.With, err)
		}
	}
}

// TestRealConfigurations compiles the exporter's own example, as Debian ships it.
func TestRealConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("/usr/share/doc/prometheus-blackbox-exporter/examples/*.yml")
	if err != nil || len(files) == 0 {
		t.Skip("prometheus-blackbox-exporter is not installed: make test-deps")
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := blackbox.Parse(path, text)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range f.Names() {
			compiled(t, f, name)
		}
	}
}

// compiled compiles a module whose files may be those of another machine.
func compiled(t *testing.T, f *blackbox.File, name string) {
	t.Helper()
	saved, err := f.Compile(name, noEnvironment)
	if err != nil {
		if !strings.Contains(err.Error(), "muster does not") {
			t.Error(err)
		}
		return
	}
	text, err := action.Format(saved)
	if err == nil {
		_, err = action.Parse(name, text)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// FuzzParse: whatever is read, is read without harm, and what compiles is an action.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		httpModules, "modules: {a: {prober: tcp, tcp: {query_response: [{expect: '(.)', send: '${1}$2$$', labels: [{name: a, value: $1}]}, {starttls: true}]}}}",
		"modules:\n  a: {prober: http, http: {fail_if_body_json_matches_cel: 'body.x'}}", "modules: {a: {prober: dns, dns: {query_name: a}}}",
		"modules: {a: {prober: icmp, icmp: {ttl: 3}}, b: {prober: grpc, grpc: {tls: yes}}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := blackbox.Parse("f", text)
		if err != nil {
			if muster.KindOf(err) != muster.KindInvalid {
				t.Errorf("%v is of kind %v", err, muster.KindOf(err))
			}
			return
		}
		for _, name := range file.Names() {
			saved, err := file.Compile(name, noEnvironment)
			if err != nil {
				continue
			}
			again, err := action.Format(saved)
			if err == nil {
				_, err = action.Parse(name, again)
			}
			// Templates and file names are checked where they are used.
			if err != nil {
				t.Errorf("%v\n%s", err, again)
			}
		}
	})
}
