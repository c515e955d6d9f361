package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// authority signs certificates for one test.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := a.sign(tmpl, nil, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) sign(tmpl, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue returns a certificate for a name, and the paths of its files.
func (a *authority) issue(name string, notAfter time.Time) (c tls.Certificate, cert, key string) {
	a.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses, tmpl.DNSNames = []net.IP{ip}, nil
	}
	der, k := a.sign(tmpl, a.cert, a.key)
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = a.write(name+".pem", "CERTIFICATE", der), a.write(name+"-key.pem", "EC PRIVATE KEY", keyDER)
	if c, err = tls.LoadX509KeyPair(cert, key); err != nil {
		a.t.Fatal(err)
	}
	return c, cert, key
}

func (a *authority) ca() string { return filepath.Join(a.dir, "ca.pem") }

// serveTLS starts an HTTPS server that answers with protocol, server name and client name.
func serveTLS(t testing.TB, cfg *tls.Config) muster.Target {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := ""
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		io.WriteString(w, r.Proto+" "+r.TLS.ServerName+" "+client)
	}))
	s.TLS = cfg
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	target := targetAt(s.Listener.Addr())
	target.Scheme = "https"
	return target
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	byIP, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	byName, _, _ := a.issue("web.test", time.Now().Add(time.Hour))
	expired, _, _ := a.issue("127.0.0.1", time.Now().Add(-time.Hour))
	_, cert, key := a.issue("operator", time.Now().Add(time.Hour))
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	ip := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{byIP}})
	name := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{byName}})
	old := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{expired}})
	tls12 := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{byIP}, MaxVersion: tls.VersionTLS12})
	mutual := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{byIP}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
	plain := serve(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	plain.Scheme = "https"
	cases := []struct {
		name   string
		target muster.Target
		spec   TLS
		body   string // "" expects a failure
		reason string
	}{
		{"verified", ip, TLS{CA: a.ca()}, "HTTP/1.1  ", ""},
		{"unknown authority", ip, TLS{}, "", "certificate signed by unknown authority"},
		{"insecure", ip, TLS{Insecure: true}, "HTTP/1.1  ", ""},
		{"another name", name, TLS{CA: a.ca()}, "", "certificate is for another name"},
		{"server name", name, TLS{CA: a.ca(), ServerName: "web.test"}, "HTTP/1.1 web.test ", ""},
		{"server name template", name, TLS{CA: a.ca(), ServerName: "{{.vars.sni}}"}, "HTTP/1.1 web.test ", ""},
		{"expired", old, TLS{CA: a.ca()}, "", "certificate expired or not yet valid"},
		{"version", tls12, TLS{CA: a.ca(), MinVersion: "1.3"}, "", ""},
		{"client certificate", mutual, TLS{CA: a.ca(), Cert: cert, Key: key}, "HTTP/1.1  operator", ""},
		{"no client certificate", mutual, TLS{CA: a.ca()}, "", ""},
		{"not tls", plain, TLS{}, "", "peer does not speak tls"},
	}
	for _, std := range []bool{false, true} {
		for _, c := range cases {
			spec := HTTP{TLS: c.spec}
			if std {
				spec.Follow = 1
			}
			c.target.Vars = map[string]string{"sni": "web.test"}
			r := compile(t, spec, Env{Timeout: 5 * time.Second}).Probe(t.Context(), c.target)
			switch {
			case c.body != "" && (r.Outcome != muster.OK || string(r.Body) != c.body || r.Timings.TLS <= 0):
				t.Errorf("%s (std %v): %v %v %q %s, tls %v", c.name, std, r.Outcome, r.Failure, r.Body, r.Detail, r.Timings.TLS)
			case c.body == "" && (r.Failure != muster.FailTLS || c.reason != "" && r.Reason != c.reason):
				t.Errorf("%s (std %v): %v %v %q: %s", c.name, std, r.Outcome, r.Failure, r.Reason, r.Detail)
			}
		}
	}
}

func TestTLSHandshakeFaults(t *testing.T) {
	t.Parallel()
	for _, std := range []bool{false, true} {
		for want, handle := range map[muster.Failure]func(*net.TCPConn){
			muster.FailTimeout: hang,
			muster.FailReset:   func(c *net.TCPConn) { io.ReadFull(c, make([]byte, 10)); c.SetLinger(0) },
		} {
			target := serve(t, handle)
			target.Scheme = "https"
			spec := HTTP{}
			if std {
				spec.Follow = 1
			}
			r := compile(t, spec, Env{Timeout: 300 * time.Millisecond}).Probe(t.Context(), target)
			if r.Failure != want || r.Sent {
				t.Errorf("std %v: %v %v (%s), want %v", std, r.Outcome, r.Failure, r.Detail, want)
			}
		}
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	target := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	for _, h := range []HTTP2{HTTP2Auto, HTTP2Always} {
		r := compile(t, HTTP{HTTP2: h, TLS: TLS{CA: a.ca()}}, Env{}).Probe(t.Context(), target)
		if r.Outcome != muster.OK || string(r.Body) != "HTTP/2.0  " || r.Status != "200 OK" || !r.Sent || !r.Address.IsValid() {
			t.Errorf("%s: %v %s %q %q", h, r.Outcome, r.Detail, r.Body, r.Status)
		}
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	r := compile(t, HTTP{HTTP2: HTTP2Always}, Env{}).Probe(t.Context(), targetAt(s.Listener.Addr()))
	if string(r.Body) != "HTTP/2.0" {
		t.Errorf("without TLS: %v %s %q", r.Outcome, r.Detail, r.Body)
	}
}

func TestTLSFiles(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	_, cert, key := a.issue("x", time.Now().Add(time.Hour))
	pemKey, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(string) (muster.Secret, error) { return muster.NewSecret(string(pemKey)), nil }
	for _, spec := range []TLS{{CA: "/nowhere"}, {CA: key}, {Cert: cert}, {Cert: cert, Key: "/nowhere"}, {Cert: "/nowhere", Key: key}} {
		if _, err := (HTTP{TLS: spec}).Prober(Env{}); err == nil || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%+v: %v", spec, err)
		}
	}
	if _, err := (HTTP{TLS: TLS{Cert: cert, Key: "env:KEY"}}).Prober(Env{Secret: secret}); err != nil {
		t.Errorf("key by reference: %v", err)
	}
}

func serverConfig(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}}
}
