package hostkey_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/musterhq/muster/hostkey"
)

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(t testing.TB) ssh.PublicKey {
	t.Helper()
	return newSigner(t).PublicKey()
}

func newECDSA(t testing.TB) ssh.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// db loads one known_hosts text.
func db(t testing.TB, lines ...string) *hostkey.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := hostkey.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func reason(err error) string {
	if e, ok := errors.AsType[*hostkey.Error](err); ok {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	line := func(names string, k ssh.PublicKey) string { return hostkey.Line(names, k) }
	tests := []struct {
		name  string
		lines []string
		host  string
		port  uint16
		want  string
	}{
		{"known", []string{line("h", a)}, "h", 22, "<nil>"},
		{"known in capitals", []string{line("H.x", a)}, "h.X", 22, "<nil>"},
		{"one of several names", []string{line("g,h,10.0.0.1", a)}, "10.0.0.1", 22, "<nil>"},
		{"with a comment", []string{"# c", "", line("h", a) + " me@there"}, "h", 22, "<nil>"},
		{"one of several keys", []string{line("h", b), line("h", a)}, "h", 22, "<nil>"},
		{"changed", []string{line("h", b)}, "h", 22, hostkey.ReasonChanged},
		{"unknown", []string{line("g", a)}, "h", 22, hostkey.ReasonUnknown},
		{"port", []string{line("[h]:2222", a)}, "h", 2222, "<nil>"},
		{"another port", []string{line("[h]:2222", b)}, "h", 22, hostkey.ReasonUnknown},
		{"port known by the bare name", []string{line("h", a)}, "h", 2222, "<nil>"},
		{"port unknown though the bare name has another key", []string{line("h", b)}, "h", 2222, hostkey.ReasonUnknown},
		{"IPv6", []string{line("2001:db8::1", a)}, "2001:db8::1", 22, "<nil>"},
		{"wildcard", []string{line("*.x,!b.x", a)}, "a.x", 22, "<nil>"},
		{"excluded", []string{line("*.x,!b.x", a)}, "b.x", 22, hostkey.ReasonUnknown},
		{"hashed", []string{line(knownhosts.HashHostname("h"), a)}, "h", 22, "<nil>"},
		{"hashed with port", []string{line(knownhosts.HashHostname("[h]:2222"), a)}, "h", 2222, "<nil>"},
		{"hashed and changed", []string{line(knownhosts.HashHostname("h"), b)}, "h", 22, hostkey.ReasonChanged},
		{"revoked", []string{line("h", a), "@revoked " + line("*", a)}, "h", 22, hostkey.ReasonRevoked},
		{"revoked, hashed", []string{line("h", a), "@revoked " + line(knownhosts.HashHostname("h"), a)}, "h", 22, hostkey.ReasonRevoked},
		{"another key revoked", []string{line("h", a), "@revoked " + line("*", b)}, "h", 22, "<nil>"},
		{"a line that nobody can read", []string{"h ssh-ed25519 AAAA", "h", "@what " + line("h", b), line("h", a)}, "h", 22, "<nil>"},
		{"authority is no host key", []string{"@cert-authority " + line("h", a)}, "h", 22, hostkey.ReasonUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := hostkey.Verifier{Known: db(t, tt.lines...)}
			for range 2 { // what is remembered of hashed lines is the same
				if got := reason(v.Verify(tt.host, tt.port, a)); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			}
			v.Mode = hostkey.Off
			if err := v.Verify(tt.host, tt.port, a); err != nil {
				t.Errorf("off: %v", err)
			}
		})
	}
}

// TestLikeOpenSSHInGo compares verdicts with the implementation of golang.org/x/crypto where the two
// mean the same.
func TestLikeOpenSSHInGo(t *testing.T) {
	t.Parallel()
	keys := []ssh.PublicKey{newKey(t), newKey(t), newECDSA(t)}
	bad := newKey(t) // they hold a revoked key against every host, ssh only against those of its line
	var lines []string
	for i, names := range []string{"a", "b,c", "*.x,!no.x", "[d]:22", "[e]:2222", knownhosts.HashHostname("f"), "10.0.0.?", "g", "g", "*.y"} {
		lines = append(lines, hostkey.Line(names, keys[i%len(keys)]))
	}
	lines = append(lines, "@revoked "+hostkey.Line("r", bad))
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := knownhosts.New(path)
	if err != nil {
		t.Fatal(err)
	}
	known, err := hostkey.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	v := hostkey.Verifier{Known: known}
	for _, host := range []string{"a", "b", "c", "q.x", "no.x", "e", "f", "10.0.0.7", "10.0.0.77", "g", "r", "z.y", "zz"} {
		for _, port := range []uint16{22, 2222} {
			if port == 2222 && host != "e" && host != "zz" {
				continue // ssh falls back to the bare name, which that implementation does not
			}
			for i, key := range append(keys, bad) {
				want := theirs(net.JoinHostPort(host, fmt.Sprint(port)), &net.TCPAddr{}, key)
				got := v.Verify(host, port, key)
				if (got == nil) != (want == nil) {
					t.Errorf("%s port %d key %d: %v, they say %v", host, port, i, got, want)
				}
			}
		}
	}
}

func TestHostCertificates(t *testing.T) {
	t.Parallel()
	ca, other, host := newSigner(t), newSigner(t), newKey(t)
	issue := func(authority ssh.Signer, kind uint32, principal string, until time.Time) *ssh.Certificate {
		c := &ssh.Certificate{Key: host, CertType: kind, KeyId: "k", ValidPrincipals: []string{principal}, ValidBefore: uint64(until.Unix())}
		if err := c.SignCert(rand.Reader, authority); err != nil {
			t.Fatal(err)
		}
		return c
	}
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	authority := "@cert-authority " + hostkey.Line("*.x", ca.PublicKey())
	v := hostkey.Verifier{Known: db(t, authority)}
	for _, tt := range []struct {
		name, host string
		cert       *ssh.Certificate
		want       string
	}{
		{"good", "a.x", issue(ca, ssh.HostCert, "a.x", later), "<nil>"},
		{"another host's", "b.x", issue(ca, ssh.HostCert, "a.x", later), hostkey.ReasonCert},
		{"expired", "a.x", issue(ca, ssh.HostCert, "a.x", past), hostkey.ReasonCert},
		{"a user's", "a.x", issue(ca, ssh.UserCert, "a.x", later), hostkey.ReasonCert},
		{"another authority's", "a.x", issue(other, ssh.HostCert, "a.x", later), hostkey.ReasonUnknown},
		{"not for this name", "a.y", issue(ca, ssh.HostCert, "a.y", later), hostkey.ReasonUnknown},
	} {
		if got := reason(v.Verify(tt.host, 22, tt.cert)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	good := issue(ca, ssh.HostCert, "a.x", later)
	revoked := hostkey.Verifier{Known: db(t, authority, "@revoked "+hostkey.Line("*", ca.PublicKey()))}
	if got := reason(revoked.Verify("a.x", 22, good)); got != hostkey.ReasonRevoked {
		t.Errorf("revoked authority: %s", got)
	}
	plain := hostkey.Verifier{Known: db(t, hostkey.Line("a.x", host))}
	if err := plain.Verify("a.x", 22, good); err != nil {
		t.Errorf("its bare key is known: %v", err)
	}
}

func TestPreference(t *testing.T) {
	t.Parallel()
	ed, ec := newKey(t), newECDSA(t)
	var p hostkey.Preference
	v := hostkey.Verifier{Known: db(t, hostkey.Line("ec", ec), hostkey.Line("both", ec), hostkey.Line("both", ed), "@cert-authority "+hostkey.Line("*.x", ed))}
	for host, want := range map[string][]string{
		"new":  {ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256},
		"ec":   {ssh.KeyAlgoECDSA256, ssh.KeyAlgoED25519},
		"both": {ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384},
		"a.x":  {ssh.CertAlgoED25519v01},
	} {
		got := p.For(&v, host, 22)
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s: %v, want %v first", host, got, want)
		}
		for _, a := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
			if !slices.Contains(got, a) {
				t.Errorf("%s: %s is missing", host, a)
			}
		}
		if slices.Contains(got, ssh.KeyAlgoRSA) {
			t.Errorf("%s: SHA-1 is offered", host)
		}
	}
}

// TestLoadIsFast loads 100,000 plain lines and finds each of them, which a search line by line could not.
func TestLoadIsFast(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	lines := make([]string, 100_000)
	for i := range lines {
		lines[i] = hostkey.Line(fmt.Sprintf("h%d.example.com,10.%d.%d.%d", i, i>>16, i>>8&255, i&255), key)
	}
	lines = append(lines, hostkey.Line(knownhosts.HashHostname("hidden"), key))
	began := time.Now()
	v := hostkey.Verifier{Known: db(t, lines...)}
	t.Logf("loaded in %v", time.Since(began))
	for i := range 100_000 {
		if err := v.Verify(fmt.Sprintf("h%d.example.com", i), 22, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Verify("hidden", 22, key); err != nil {
		t.Error(err)
	}
}

// FuzzKnownHosts holds that any text is taken, that lines which x/crypto reads are known here too.
func FuzzKnownHosts(f *testing.F) {
	key := newKey(f)
	f.Add("h", "# c\n\n@revoked x ssh-rsa AAAA\n|1|x|y ssh-rsa AAAA\n*?!,! ssh-ed25519 !!!!")
	f.Add("[h]:22", knownhosts.HashHostname("h"))
	f.Fuzz(func(t *testing.T, name, text string) {
		v := hostkey.Verifier{Known: db(t, text, hostkey.Line("sure.example", key))}
		v.Verify(name, 22, key)
		v.Verify(name, 2222, key)
		if err := v.Verify("sure.example", 22, key); err != nil && reason(err) != hostkey.ReasonRevoked {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	key := newKey(b)
	lines := make([]string, 100_000)
	for i := range lines {
		lines[i] = hostkey.Line(fmt.Sprintf("h%d.example.com,10.%d.%d.%d", i, i>>16, i>>8&255, i&255), key)
	}
	path := filepath.Join(b.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hostkey.Load(path); err != nil {
			b.Fatal(err)
		}
	}
}
