package probe

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// realServer starts a program that listens on port of 127.0.0.1, and waits until it does.
func realServer(t testing.TB, port uint16, name string, args ...string) muster.Target {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil {
		if bin = filepath.Join("/usr/sbin", name); !exists(bin) {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("%s is not installed", name)
		}
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	target := muster.Target{ID: "127.0.0.1:" + strconv.Itoa(int(port)), Host: "127.0.0.1", Port: port}
	p := compileTCPSpec(t, TCP{}, Env{})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if p.Probe(t.Context(), target).Outcome == muster.OK {
			return target
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, out.String())
		case <-tick.C:
		}
	}
	t.Fatalf("%s does not listen", name)
	return target
}

// TestRedis speaks to a real server, in plain text and over TLS with a client's certificate.
func TestRedis(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	_, cert, key := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	plain, secure := freePort(t), freePort(t)
	target := realServer(t, plain, "redis-server", "--port", fmt.Sprint(plain), "--tls-port", fmt.Sprint(secure), "--bind", "127.0.0.1",
		"--save", "", "--requirepass", "hunter2", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.ca())
	secret := func(string) (muster.Secret, error) { return muster.NewSecret("hunter2"), nil }
	steps := []Step{
		{Send: `PING\r\n`},
		{Expect: "^-NOAUTH"},
		{Send: `AUTH {{secret "env:PW"}}\r\n`},
		{Expect: `^\+OK`},
		{Send: `ECHO {{.host}}\r\n`},
		{Expect: `^127`},
		{Send: `INFO server\r\n`},
		{Expect: `^redis_version:(?P<version>\d+)`},
	}
	trust := TLS{CA: a.ca(), Cert: cert, Key: key}
	for _, spec := range []TCP{{Steps: steps}, {Steps: steps, Secure: true, TLS: trust}} {
		at := target
		if spec.Secure {
			at.Port = secure
		}
		r := compileTCPSpec(t, spec, Env{Secret: secret}).Probe(t.Context(), at)
		if version, _ := r.Field("version"); r.Outcome != muster.OK || version == nil || version == "" {
			t.Errorf("tls %v: %v %s %s, version %v", spec.Secure, r.Outcome, r.Reason, r.Detail, version)
		}
	}
	target.Port = secure
	if r := compileHandshakeSpec(t, Handshake{TLS: trust}, Env{}).Probe(t.Context(), target); r.Outcome != muster.OK || certField(t, &r, "client_cert_requested") != true {
		t.Errorf("with a client certificate: %v %s", r.Outcome, r.Detail)
	}
	if r := compileHandshakeSpec(t, Handshake{TLS: TLS{CA: a.ca()}}, Env{}).Probe(t.Context(), target); r.Failure != muster.FailTLS {
		t.Errorf("without a client certificate: %v %v", r.Outcome, r.Failure)
	}
}

// TestOpenSSL shakes hands with OpenSSL in several settings.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	_, cert, key := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	for _, c := range []struct {
		name string
		args []string
		spec Handshake
		want map[string]any
	}{
		{"1.3", []string{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, Handshake{}, map[string]any{"version": "TLS 1.3", "cipher": "TLS_CHACHA20_POLY1305_SHA256", "verified": true}},
		{"1.2", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"}, Handshake{}, map[string]any{"version": "TLS 1.2", "cipher": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}},
		{"1.0", []string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, Handshake{TLS: TLS{MinVersion: "1.0"}}, map[string]any{"version": "TLS 1.0"}},
		{"alpn", []string{"-alpn", "h2,http/1.1"}, Handshake{ALPN: []string{"http/1.1"}}, map[string]any{"alpn": "http/1.1"}},
		{"curve", []string{"-curves", "P-384"}, Handshake{}, map[string]any{"curve": "CurveP384"}},
		{"without pq", nil, Handshake{NoPQ: true}, map[string]any{"curve": "X25519"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			target := realServer(t, port, "openssl", append([]string{"s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", port), "-quiet", "-cert", cert, "-key", key}, c.args...)...)
			c.spec.TLS.CA = a.ca()
			r := compileHandshakeSpec(t, c.spec, Env{Timeout: 5 * time.Second}).Probe(t.Context(), target)
			if r.Outcome != muster.OK {
				t.Fatalf("%v %v %s", r.Outcome, r.Failure, r.Detail)
			}
			for name, want := range c.want {
				if got := certField(t, &r, name); got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
		})
	}
}

// TestSSHBanner takes the version out of a real server's greeting.
func TestSSHBanner(t *testing.T) {
	t.Parallel()
	s := startSSHD(t)
	spec := TCP{Steps: []Step{{Expect: `^SSH-2\.0-(?P<software>\S+)`}}}
	r := compileTCPSpec(t, spec, Env{}).Probe(t.Context(), s.target)
	if software, _ := r.Field("software"); r.Outcome != muster.OK || !strings.HasPrefix(fmt.Sprint(software), "OpenSSH_") {
		t.Errorf("%v %s, software %v", r.Outcome, r.Detail, software)
	}
}
