package probe

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

func testSecrets(ref string) (muster.Secret, error) {
	if s, ok := map[string]string{"env:PW": "s3cret", "env:TOKEN": "t0ken", "env:BAD": "a\r\nX: y"}[ref]; ok {
		return muster.NewSecret(s), nil
	}
	return muster.Secret{}, muster.Errorf(muster.KindInvalid, "secret %s: not set", ref)
}

func built(t *testing.T, h HTTP, target muster.Target) (request, *defect) {
	t.Helper()
	p := compile(t, h, Env{Secret: testSecrets})
	var q request
	return q, p.build(&q, &target, false)
}

func mustBuild(t *testing.T, h HTTP, target muster.Target) string {
	t.Helper()
	p := compile(t, h, Env{Secret: testSecrets})
	var q request
	if d := p.build(&q, &target, false); d != nil {
		t.Fatal(d.err)
	}
	return strings.ReplaceAll(string(q.raw), "\r\n", "\n")
}

func TestRequest(t *testing.T) {
	t.Parallel()
	web := muster.Target{ID: "web1", Host: "web1"}
	six := muster.Target{Host: "fe80::1%eth0", Addr: netip.MustParseAddr("fe80::1%eth0"), Port: 8080}
	row := muster.Target{Host: "web1", Port: 81, Path: "/own?x", Vars: map[string]string{"v": "a b", "port": "9000"}}
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("n={{.vars.v}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	const rest = "User-Agent: muster\nAccept: */*\nConnection: close\n"
	cases := []struct {
		name   string
		spec   HTTP
		target muster.Target
		want   string
	}{
		{"zero", HTTP{}, web, "GET / HTTP/1.1\nHost: web1\n" + rest + "\n"},
		{"path", HTTP{URL: "/status?x=1#f"}, web, "GET /status?x=1 HTTP/1.1\nHost: web1\n" + rest + "\n"},
		{"query alone", HTTP{URL: "?x=1"}, web, "GET /?x=1 HTTP/1.1\nHost: web1\n" + rest + "\n"},
		{"own path", HTTP{}, row, "GET /own?x HTTP/1.1\nHost: web1:81\n" + rest + "\n"},
		{"replaced path", HTTP{URL: "/p"}, row, "GET /p HTTP/1.1\nHost: web1:81\n" + rest + "\n"},
		{"non-ascii", HTTP{URL: "/käse"}, web, "GET /k%C3%A4se HTTP/1.1\nHost: web1\n" + rest + "\n"},
		{"ipv6", HTTP{}, six, "GET / HTTP/1.1\nHost: [fe80::1]:8080\n" + rest + "\n"},
		{"port", HTTP{Port: "{{.vars.p}}"}, muster.Target{Host: "h", Vars: map[string]string{"p": "99"}}, "GET / HTTP/1.1\nHost: h:99\n" + rest + "\n"},
		{"whole url", HTTP{URL: "http://{{.host}}:{{.vars.port}}/q?{{.vars.v | urlquery}}"}, row, "GET /q?a+b HTTP/1.1\nHost: web1:9000\n" + rest + "\n"},
		{"https default port", HTTP{URL: "https://{{.host}}:443"}, row, "GET / HTTP/1.1\nHost: web1\n" + rest + "\n"},
		{"host", HTTP{Host: "virtual.{{.host}}"}, web, "GET / HTTP/1.1\nHost: virtual.web1\n" + rest + "\n"},
		{
			"headers",
			HTTP{Header: []Header{{Name: "User-Agent", Drop: true}, {Name: "accept", Value: "text/{{.host}}"}, {Name: "X-A", Value: "1"}, {Name: "X-A"}, {Name: "Host", Value: "h"}}},
			web, "GET / HTTP/1.1\nHost: h\naccept: text/web1\nX-A: 1\nX-A: \nConnection: close\n\n",
		},
		{"post", HTTP{Body: "v={{.vars.v}}"}, row, "POST /own?x HTTP/1.1\nHost: web1:81\n" + rest + "Content-Length: 5\n\nv=a b"},
		{"empty put", HTTP{Method: "PUT"}, web, "PUT / HTTP/1.1\nHost: web1\n" + rest + "Content-Length: 0\n\n"},
		{"raw body", HTTP{Body: "{{x", BodyRaw: true}, web, "POST / HTTP/1.1\nHost: web1\n" + rest + "Content-Length: 3\n\n{{x"},
		{"body file", HTTP{Method: "PATCH", BodyFile: file}, row, "PATCH /own?x HTTP/1.1\nHost: web1:81\n" + rest + "Content-Length: 5\n\nn=a b"},
		{
			"form",
			HTTP{Form: []Pair{{"a b", "{{.vars.v}}&"}, {"c", ""}}},
			row,
			"POST /own?x HTTP/1.1\nHost: web1:81\nUser-Agent: muster\nAccept: */*\nContent-Type: application/x-www-form-urlencoded\nConnection: close\nContent-Length: 13\n\na+b=a+b%26&c=",
		},
		{"basic", HTTP{User: "{{.host}}", Password: "env:PW"}, web, "GET / HTTP/1.1\nHost: web1\nUser-Agent: muster\nAccept: */*\nAuthorization: Basic d2ViMTpzM2NyZXQ=\nConnection: close\n\n"},
		{"bearer", HTTP{Bearer: "env:TOKEN"}, web, "GET / HTTP/1.1\nHost: web1\nUser-Agent: muster\nAccept: */*\nAuthorization: Bearer t0ken\nConnection: close\n\n"},
		{"cookies", HTTP{Cookies: []Pair{{"a", "1"}, {"b", "{{.host}}"}}}, web, "GET / HTTP/1.1\nHost: web1\nUser-Agent: muster\nAccept: */*\nCookie: a=1; b=web1\nConnection: close\n\n"},
		{"compressed", HTTP{Compressed: true, UserAgent: "x"}, web, "GET / HTTP/1.1\nHost: web1\nUser-Agent: x\nAccept: */*\nAccept-Encoding: gzip, deflate\nConnection: close\n\n"},
	}
	for _, c := range cases {
		if got := mustBuild(t, c.spec, c.target); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

func TestRequestDefects(t *testing.T) {
	t.Parallel()
	row := muster.Target{Host: "web1", Vars: map[string]string{"nl": "a\r\nX: y", "sp": "a b", "nul": "\x00", "pct": "%zz", "p": "70000", "s": "ftp"}}
	cases := []struct {
		spec   HTTP
		target muster.Target
		reason string
	}{
		{HTTP{URL: "/{{.vars.gone}}"}, row, "missing variable vars.gone"},
		{HTTP{Header: []Header{{Name: "X", Value: "{{.vars.nl}}"}}}, row, "invalid header"},
		{HTTP{Header: []Header{{Name: "X", Value: "{{.vars.nul}}"}}}, row, "invalid header"},
		{HTTP{Host: "{{.vars.nl}}"}, row, "invalid header"},
		{HTTP{URL: "/{{.vars.nl}}"}, row, "invalid url"},
		{HTTP{URL: "/{{.vars.sp}}"}, row, "invalid url"},
		{HTTP{URL: "/{{.vars.pct}}"}, row, "invalid url"},
		{HTTP{URL: "http://h:{{.vars.p}}/"}, row, "invalid url"},
		{HTTP{URL: "{{.vars.sp}}"}, row, "invalid url"},
		{HTTP{URL: "http://u:p@{{.host}}/"}, row, "invalid url"},
		{HTTP{Port: "{{.vars.p}}"}, row, "invalid port"},
		{HTTP{Scheme: "{{.vars.s}}"}, row, "invalid scheme"},
		{HTTP{}, muster.Target{Host: "h", Scheme: "ssh"}, "invalid scheme"},
		{HTTP{}, muster.Target{Host: "h\r\nX: y"}, "invalid host"},
		{HTTP{}, muster.Target{Host: "h", Path: "/a b"}, "invalid url"},
	}
	for _, c := range cases {
		_, d := built(t, c.spec, c.target)
		if d == nil || d.reason != c.reason {
			t.Errorf("%+v: defect %+v, want %q", c.spec, d, c.reason)
			continue
		}
		p := compile(t, c.spec, Env{})
		if err := p.Check(&c.target); err == nil {
			t.Errorf("%s: Check finds nothing", c.reason)
		}
		for _, way := range paths() {
			if b, ok := any(p).(muster.BatchProber); ok && way.name == "loop" && !b.Batchable(c.target) {
				continue
			}
			r := way.probe(t.Context(), p, c.target)
			if r.Outcome != muster.Invalid || r.Reason != c.reason || r.Detail == "" || r.Sent {
				t.Errorf("%s by %s: %v %q %q", c.reason, way.name, r.Outcome, r.Reason, r.Detail)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ with, want string }{
		{`{"method":"G T"}`, "method"},
		{`{"method":"CONNECT"}`, "CONNECT"},
		{`{"url":"status"}`, "/status"},
		{`{"url":"/a b"}`, "%20"},
		{`{"url":"ftp://x/"}`, "https://host/status"},
		{`{"url":"http://u:p@h/"}`, "user and password"},
		{`{"port":"http"}`, "65535"},
		{`{"scheme":"gopher"}`, "http or https"},
		{`{"header":[{"name":"a b","value":""}]}`, "a b"},
		{`{"header":[{"name":"Content-Length","value":"1"}]}`, "Content-Length"},
		{`{"header":[{"name":"X","value":"a\nb"}]}`, "header X"},
		{`{"body":"x","form":[{"name":"a"}]}`, "one of them"},
		{`{"user":"a","bearer":"env:X"}`, "one of them"},
		{`{"bearer":"s3cret"}`, "env:NAME"},
		{`{"proxy":"host:1"}`, "http://HOST:PORT"},
		{`{"http2":"yes"}`, "auto"},
		{`{"body_limit":-1}`, "body_limit"},
		{`{"tls":{"min_version":"1.4"}}`, "min_version"},
		{`{"tls":{"key":"x"}}`, "certificate"},
		{`{"colour":1}`, `"colour"`},
		{`{"follow":"x"}`, "follow"},
		{`{} {}`, "go on"},
	} {
		_, err := Decode("http", json.RawMessage(c.with))
		if err == nil || !strings.Contains(err.Error(), c.want) || muster.KindOf(err) != muster.KindInvalid && !strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one about %q", c.with, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v shows a secret", err)
		}
	}
	if _, err := Decode("gopher", nil); err == nil || !strings.Contains(err.Error(), "http") {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestDecodeRoundTrip(t *testing.T) {
	t.Parallel()
	s, err := Decode("http", json.RawMessage(`{"method":"POST","url":"/x","http2":true,"header_timeout":"2s","tls":{"insecure":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	h := s.(*HTTP)
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode("http", b)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := json.Marshal(again); string(c) != string(b) || h.HTTP2 != HTTP2Always || !h.TLS.Insecure {
		t.Errorf("%s became %s", b, c)
	}
	if empty, _ := json.Marshal(HTTP{}); string(empty) != "{}" {
		t.Errorf("the zero value is written %s", empty)
	}
}

func TestSafe(t *testing.T) {
	t.Parallel()
	for m, want := range map[string]bool{"": true, "GET": true, "HEAD": true, "OPTIONS": true, "POST": false, "PUT": false, "PATCH": false, "DELETE": false} {
		if got := (HTTP{Method: m}).Safe(); got != want {
			t.Errorf("%q is safe: %v", m, got)
		}
	}
	if (HTTP{Body: "x"}).Safe() {
		t.Error("a body makes it a POST")
	}
}

func TestPreviewRedacts(t *testing.T) {
	t.Parallel()
	specs := []HTTP{
		{User: "u", Password: "env:PW"},
		{Bearer: "env:TOKEN"},
		{URL: `/x?k={{secret "env:PW"}}`},
		{Header: []Header{{Name: "X-Key", Value: `{{secret "env:PW"}}`}}},
		{Body: `{"k":{{secret "env:PW" | json}}}`},
		{Form: []Pair{{"k", `{{secret "env:PW"}}`}}},
	}
	for _, h := range specs {
		p := compile(t, h, Env{Secret: testSecrets})
		s, err := p.Preview(&muster.Target{Host: "web1"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s, "s3cret") || strings.Contains(s, "t0ken") || strings.Contains(s, "dTpzM2NyZXQ") {
			t.Errorf("shown: %s", s)
		}
		if !strings.Contains(s, "redacted") || !strings.Contains(s, "Host: web1") {
			t.Errorf("not marked: %s", s)
		}
	}
}

func TestSecretErrors(t *testing.T) {
	t.Parallel()
	if _, err := (HTTP{Bearer: "env:TOKEN"}).Prober(Env{}); err == nil {
		t.Error("secrets without a resolver are accepted")
	}
	if _, err := (HTTP{Bearer: "env:GONE"}).Prober(Env{Secret: testSecrets}); err == nil || !strings.Contains(err.Error(), "env:GONE") {
		t.Errorf("missing secret: %v", err)
	}
	if _, err := (HTTP{Bearer: "env:BAD"}).Prober(Env{Secret: testSecrets}); err == nil || strings.Contains(err.Error(), "X: y") {
		t.Errorf("a secret with a line break: %v", err)
	}
	// An expanded URL with a secret is not quoted.
	_, d := built(t, HTTP{URL: `{{secret "env:PW"}}`}, muster.Target{Host: "h"})
	if d == nil || strings.Contains(d.err.Error(), "s3cret") {
		t.Errorf("defect %+v", d)
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Header{
		"X-A: b: c": {Name: "X-A", Value: "b: c"},
		"X-A;":      {Name: "X-A"},
		"Accept:":   {Name: "Accept", Drop: true},
	} {
		if got, err := ParseHeader(s); err != nil || got != want {
			t.Errorf("%q: %+v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "X", ": v", "a b: c"} {
		if _, err := ParseHeader(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}
