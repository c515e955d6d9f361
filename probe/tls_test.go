package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

func compileHandshakeSpec(t testing.TB, h Handshake, env Env) *handshakeProber {
	t.Helper()
	p, err := h.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*handshakeProber)
}

// shake serves TLS handshakes, and waits until the peer goes.
func shake(cfg *tls.Config) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			io.Copy(io.Discard, tc)
		}
	}
}

func certField(t testing.TB, r *muster.Result, name string) any {
	t.Helper()
	v, ok := r.Field(name)
	if !ok {
		t.Errorf("there is no field %s", name)
	}
	return v
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	good, certFile, keyFile := a.issue("web.test", time.Now().Add(50*time.Minute))
	old, _, _ := a.issue("old.test", time.Now().Add(-time.Minute))
	serve1 := func(cfg *tls.Config) muster.Target {
		if cfg.Certificates == nil {
			cfg.Certificates = []tls.Certificate{good}
		}
		return serve(t, shake(cfg))
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	trust := TLS{CA: a.ca(), ServerName: "web.test"}
	for _, c := range []struct {
		name   string
		server *tls.Config
		spec   Handshake
		want   string // outcome, failure, reason, status
		fields map[string]any
	}{
		{"1.3", &tls.Config{}, Handshake{TLS: trust}, "ok,,,TLS 1.3", map[string]any{"verified": true, "verify_error": nil, "version": "TLS 1.3", "alpn": nil, "curve": "X25519MLKEM768"}},
		{"without pq", &tls.Config{}, Handshake{TLS: trust, NoPQ: true}, "ok,,,TLS 1.3", map[string]any{"curve": "X25519"}},
		{"1.2", &tls.Config{}, Handshake{TLS: trust, MaxVersion: "1.2"}, "ok,,,TLS 1.2", map[string]any{"version": "TLS 1.2", "cipher": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "curve": "X25519"}},
		{"1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, Handshake{TLS: TLS{CA: a.ca(), ServerName: "web.test", MinVersion: "1.0"}}, "ok,,,TLS 1.0", nil},
		{"too old", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, Handshake{TLS: trust}, "failed,tls,tls: protocol version not supported,", nil},
		{"alpn", &tls.Config{NextProtos: []string{"h2"}}, Handshake{TLS: trust, ALPN: []string{"h2", "http/1.1"}}, "ok,,,TLS 1.3", map[string]any{"alpn": "h2"}},
		{"other alpn", &tls.Config{NextProtos: []string{"imap"}}, Handshake{TLS: trust, ALPN: []string{"h2"}}, "failed,tls,tls: no application protocol,", nil},
		{"expired", &tls.Config{Certificates: []tls.Certificate{old}}, Handshake{TLS: TLS{CA: a.ca(), ServerName: "old.test"}}, "failed,tls,certificate expired or not yet valid,", map[string]any{"verified": false, "cert.days_left": -1.0}},
		{"expired, insecure", &tls.Config{Certificates: []tls.Certificate{old}}, Handshake{TLS: TLS{CA: a.ca(), ServerName: "old.test", Insecure: true}}, "ok,,,TLS 1.3", map[string]any{"verified": false, "verify_error": "certificate expired or not yet valid", "cert.days_left": -1.0}},
		{"wrong name", &tls.Config{}, Handshake{TLS: TLS{CA: a.ca(), ServerName: "other.test"}}, "failed,tls,certificate is for another name,", map[string]any{"cert.names": "web.test"}},
		{"address for a name", &tls.Config{}, Handshake{TLS: TLS{CA: a.ca()}}, "failed,tls,certificate is for another name,", nil},
		{"unknown authority", &tls.Config{}, Handshake{TLS: TLS{ServerName: "web.test"}}, "failed,tls,certificate signed by unknown authority,", map[string]any{"verified": false}},
		{"client certificate", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, Handshake{TLS: TLS{CA: a.ca(), ServerName: "web.test", Cert: certFile, Key: keyFile}}, "ok,,,TLS 1.3", map[string]any{"client_cert_requested": true}},
		{"no client certificate", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, Handshake{TLS: trust}, "failed,tls,tls: certificate required,", map[string]any{"client_cert_requested": true}},
		{"no client certificate, 1.2", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, Handshake{TLS: trust, MaxVersion: "1.2"}, "failed,tls,", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := compileHandshakeSpec(t, c.spec, Env{}).Probe(t.Context(), serve1(c.server))
			if got := fmt.Sprintf("%v,%v,%s,%s", r.Outcome, r.Failure, r.Reason, r.Status); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s (%s)\nwant %s", got, r.Detail, c.want)
			}
			for name, want := range c.fields {
				if got := certField(t, &r, name); got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			if r.Timings.TLS <= 0 || r.Timings.Connect <= 0 {
				t.Errorf("timings %+v", r.Timings)
			}
		})
	}
}

func TestHandshakeFields(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("web.test", time.Now().Add(30*time.Minute))
	target := serve(t, shake(&tls.Config{Certificates: []tls.Certificate{cert}}))
	spec := Handshake{TLS: TLS{CA: a.ca(), ServerName: "web.test"}}
	r := compileHandshakeSpec(t, spec, Env{}).Probe(t.Context(), target)
	for name, want := range map[string]any{
		"cert.subject": "CN=web.test", "cert.issuer": "CN=test root", "cert.names": "web.test", "cert.serial": "2", "cert.days_left": 0.0,
		"cert.key": "ECDSA P-256", "cert.sig": "ECDSA-SHA256", "cert.self_signed": false, "chain.length": 1.0, "ocsp_stapled": false,
	} {
		if got := certField(t, &r, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	named := map[string]bool{}
	for _, name := range TraitsOf(spec).Fields {
		named[name] = true
	}
	for _, f := range r.Fields {
		if !named[f.Name] {
			t.Errorf("the traits do not name %s", f.Name)
		}
	}
	want := "TLS 1.3, CN=web.test, by CN=test root, until " + time.Now().Add(30*time.Minute).UTC().Format(time.DateOnly) + "\n"
	if string(r.Body) != want {
		t.Errorf("body %q, want %q", r.Body, want)
	}
	spec.Chain = true
	r = compileHandshakeSpec(t, spec, Env{}).Probe(t.Context(), target)
	block, rest := pem.Decode(r.Body)
	if block == nil || len(rest) > 0 {
		t.Fatalf("body %q is no certificate", r.Body)
	}
	if c, err := x509.ParseCertificate(block.Bytes); err != nil || c.Subject.CommonName != "web.test" {
		t.Errorf("%v, %v", c, err)
	}
}

// TestHandshakeSelfSigned shakes hands with an authority itself.
func TestHandshakeSelfSigned(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	target := serve(t, shake(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}}}))
	r := compileHandshakeSpec(t, Handshake{TLS: TLS{Insecure: true}}, Env{}).Probe(t.Context(), target)
	if r.Outcome != muster.OK || certField(t, &r, "cert.self_signed") != true || certField(t, &r, "verified") != false {
		t.Errorf("%v %v", r.Outcome, r.Fields)
	}
	if !strings.Contains(string(r.Body), "not verified: certificate ") {
		t.Errorf("body %q", r.Body)
	}
}

func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		handle func(*net.TCPConn)
		want   string
	}{
		{"hang", hang, "failed,timeout,timeout"},
		{"close", func(c *net.TCPConn) { c.Read(make([]byte, 1)) }, "failed,reset,"},
		{"reset", func(c *net.TCPConn) { c.Read(make([]byte, 1)); c.SetLinger(0) }, "failed,reset,connection reset"},
		{"plain text", says("220 hello there\r\n"), "failed,tls,peer does not speak tls"},
		{"http", says("HTTP/1.1 400 Bad Request\r\n\r\n"), "failed,tls,peer does not speak tls"},
		{"trickle", trickle("\x16\x03\x03\x40\x00", 20*time.Millisecond), "failed,timeout,timeout"},
		{"flood", flood, "failed,tls,"},
		{"half a record", func(c *net.TCPConn) { c.Read(make([]byte, 1)); c.Write([]byte("\x16\x03\x03\x00\x40abc")) }, "failed,reset,"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := compileHandshakeSpec(t, Handshake{}, Env{Timeout: 400 * time.Millisecond}).Probe(t.Context(), serve(t, c.handle))
			if got := fmt.Sprintf("%v,%v,%s", r.Outcome, r.Failure, r.Reason); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s (%s), want %s", got, r.Detail, c.want)
			}
		})
	}
}

// TestHandshakeUpgrades speaks each protocol that goes over to TLS with a peer that plays its part.
func TestHandshakeUpgrades(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("mail.test", time.Now().Add(time.Hour))
	type turn struct {
		hear string // "" says first
		say  string
	}
	for proto, turns := range map[string][]turn{
		"smtp":     {{"", "220-x\r\n220 ready\r\n"}, {"EHLO muster\r\n", "250-x\r\n250 STARTTLS\r\n"}, {"STARTTLS\r\n", "220 go\r\n"}},
		"imap":     {{"", "* OK ready\r\n"}, {"a1 STARTTLS\r\n", "a1 OK go\r\n"}},
		"pop3":     {{"", "+OK\r\n"}, {"STLS\r\n", "+OK\r\n"}},
		"ftp":      {{"", "220 ready\r\n"}, {"AUTH TLS\r\n", "234 go\r\n"}},
		"postgres": {{"\x00\x00\x00\x08\x04\xd2\x16\x2f", "S"}},
		"ldap":     {{strings.Repeat("\x00", 31), "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"}},
		"mysql":    {{"", "\x2a\x00\x00\x00\x0a8.0.36\x00rest"}, {strings.Repeat("\x00", 36), ""}},
		"xmpp": {
			{"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='127.0.0.1' version='1.0'>", "<stream:stream id='1'><stream:features><starttls/></stream:features>"},
			{"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		},
	} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			target := serve(t, func(c *net.TCPConn) {
				for _, turn := range turns {
					if _, err := io.ReadFull(c, make([]byte, len(turn.hear))); err != nil {
						return
					}
					io.WriteString(c, turn.say)
				}
				shake(&tls.Config{Certificates: []tls.Certificate{cert}})(c)
			})
			spec := Handshake{StartTLS: proto, TLS: TLS{CA: a.ca(), ServerName: "mail.test"}}
			r := compileHandshakeSpec(t, spec, Env{Timeout: 5 * time.Second}).Probe(t.Context(), target)
			if r.Outcome != muster.OK || certField(t, &r, "cert.subject") != "CN=mail.test" {
				t.Errorf("%v %v %s", r.Outcome, r.Failure, r.Detail)
			}
		})
	}
	refuses := serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "220 ready\r\n")
		in := bufio.NewReader(c)
		in.ReadString('\n')
		io.WriteString(c, "502 no\r\n")
	})
	r := compileHandshakeSpec(t, Handshake{StartTLS: "ftp"}, Env{}).Probe(t.Context(), refuses)
	if r.Outcome != muster.Unexpected || r.Reason != "expect ^234" {
		t.Errorf("a refusal ends %v %q", r.Outcome, r.Reason)
	}
}

func TestHandshakeCancel(t *testing.T) {
	t.Parallel()
	arrived := make(chan bool, 1)
	target := serve(t, func(c *net.TCPConn) {
		arrived <- true
		hang(c)
	})
	for _, proto := range []string{"", "smtp"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		began := time.Now()
		r := compileHandshakeSpec(t, Handshake{StartTLS: proto}, Env{Timeout: time.Minute}).Probe(ctx, target)
		if r.Outcome != muster.Canceled || time.Since(began) > 5*time.Second {
			t.Errorf("starttls %q: %v %s after %v", proto, r.Outcome, r.Detail, time.Since(began))
		}
	}
}

func TestHandshakeValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec Handshake
		want string
	}{
		{Handshake{Port: "0"}, "want 1 to 65535"},
		{Handshake{MaxVersion: "2"}, "max_version \"2\""},
		{Handshake{MaxVersion: "1.1"}, "it is below the lowest version"},
		{Handshake{ALPN: []string{""}}, "want a protocol such as h2"},
		{Handshake{StartTLS: "gopher"}, "want one of ftp, imap, ldap, mysql, pop3, postgres, smtp, xmpp"},
		{Handshake{TLS: TLS{Key: "k"}}, "it needs its certificate"},
	} {
		if err := c.spec.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.spec, err, c.want)
		}
	}
	p := compileHandshakeSpec(t, Handshake{StartTLS: "smtp"}, Env{})
	if got, err := p.Preview(&muster.Target{ID: "a", Host: "a"}); err != nil || got != "# tls a:25 for a after smtp\n" {
		t.Errorf("preview %q, %v", got, err)
	}
}
