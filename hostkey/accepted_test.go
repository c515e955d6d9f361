package hostkey_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster/hostkey"
)

// tofu opens the file of accepted keys as another process would.
func tofu(t testing.TB, path string) *hostkey.Verifier {
	t.Helper()
	a, err := hostkey.OpenAccepted(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return &hostkey.Verifier{Mode: hostkey.TOFU, Accepted: a}
}

func lines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestTrustOnFirstUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "known_hosts")
	a, b := newKey(t), newKey(t)
	v := tofu(t, path)
	for range 2 {
		if err := v.Verify("h", 2222, a); err != nil {
			t.Fatal(err)
		}
	}
	if got := lines(t, path); len(got) != 1 || got[0] != hostkey.Line("[h]:2222", a) {
		t.Errorf("recorded %q", got)
	}
	for _, who := range []*hostkey.Verifier{v, tofu(t, path)} {
		if got := reason(who.Verify("h", 2222, b)); got != hostkey.ReasonChanged {
			t.Errorf("another key: %s", got)
		}
	}
	strict := tofu(t, path)
	strict.Mode = hostkey.Strict
	if err := strict.Verify("h", 2222, a); err != nil {
		t.Errorf("strict takes what was accepted: %v", err)
	}
	if got := reason(strict.Verify("g", 22, a)); got != hostkey.ReasonUnknown {
		t.Errorf("strict: %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestTwoProcessesAccept lets two processes' worth of files accept the same hosts at once: each host is recorded
// once, and of two keys for one host exactly one wins.
func TestTwoProcessesAccept(t *testing.T) {
	t.Parallel()
	const hosts = 300
	path := filepath.Join(t.TempDir(), "known_hosts")
	keys := []ssh.PublicKey{newKey(t), newKey(t)}
	verifiers := []*hostkey.Verifier{tofu(t, path), tofu(t, path)}
	var wins [hosts]int
	var mu sync.Mutex
	var work sync.WaitGroup
	for p, v := range verifiers {
		for i := range hosts {
			work.Go(func() {
				err := v.Verify(fmt.Sprintf("h%d", i), 22, keys[p*(i%2)]) // odd hosts present two keys
				switch got := reason(err); {
				case err == nil:
					mu.Lock()
					wins[i]++
					mu.Unlock()
				case got != hostkey.ReasonChanged:
					t.Errorf("h%d: %s", i, got)
				}
			})
		}
	}
	work.Wait()
	for i, n := range wins {
		if want := 2 - i%2; n != want {
			t.Errorf("h%d was accepted %d times, want %d", i, n, want)
		}
	}
	if got := lines(t, path); len(got) != hosts {
		t.Errorf("%d lines for %d hosts", len(got), hosts)
	}
}

func TestACutLineHarmsNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_hosts")
	a, b := newKey(t), newKey(t)
	cut := hostkey.Line("a", a) + "\n" + hostkey.Line("b", b)[:40]
	if err := os.WriteFile(path, []byte(cut), 0o600); err != nil {
		t.Fatal(err)
	}
	v := tofu(t, path)
	for host, key := range map[string]ssh.PublicKey{"a": a, "b": b} {
		if err := v.Verify(host, 22, key); err != nil {
			t.Error(err)
		}
	}
	again := tofu(t, path)
	again.Mode = hostkey.Strict
	for host, key := range map[string]ssh.PublicKey{"a": a, "b": b} {
		if err := again.Verify(host, 22, key); err != nil {
			t.Error(err)
		}
	}
}

func TestAReplacedFileIsReadAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_hosts")
	a, b := newKey(t), newKey(t)
	v := tofu(t, path)
	if err := v.Verify("a", 22, a); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := v.Verify("b", 22, b); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, path); len(got) != 1 || !strings.HasPrefix(got[0], "b ") {
		t.Errorf("recorded %q", got)
	}
}

func TestAKeyThatCannotBeRecordedIsNotTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v := tofu(t, filepath.Join(dir, "none", "known_hosts"))
	if err := os.WriteFile(filepath.Join(dir, "none"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := reason(v.Verify("a", 22, newKey(t))); got != hostkey.ReasonRecord {
		t.Errorf("%s, want %s", got, hostkey.ReasonRecord)
	}
}
