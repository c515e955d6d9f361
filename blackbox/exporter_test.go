package blackbox_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/blackbox"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/extract"
	"github.com/musterhq/muster/probe"
)

// exporter starts Debian's blackbox_exporter with a configuration and returns its verdict on a target.
func exporter(t *testing.T, config string) func(module, target string) bool {
	t.Helper()
	const name = "prometheus-blackbox-exporter"
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: make test-deps", name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), path, "--config.file="+config, "--web.listen-address="+addr, "--log.level=error")
	output, err := os.Create(filepath.Join(t.TempDir(), "exporter.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		output.Close()
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	waitFor(t, addr, output.Name())
	return func(module, target string) bool {
		resp, err := client.Get("http://" + addr + "/probe?" + url.Values{"module": {module}, "target": {target}}.Encode())
		if err != nil {
			t.Errorf("exporter: %v", err)
			return false
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if verdict, ok := strings.CutPrefix(lines.Text(), "probe_success "); ok {
				return verdict == "1"
			}
		}
		t.Errorf("exporter: no probe_success for %s on %s (%s)", module, target, resp.Status)
		return false
	}
}

// waitFor waits until something listens on addr.
func waitFor(t *testing.T, addr, log string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(log)
	t.Fatalf("the exporter does not listen: %s", text)
}

// run is what muster makes of a module and a target.
func run(t *testing.T, f *blackbox.File, module, target string) muster.Result {
	t.Helper()
	saved, err := f.Compile(module, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	spec, err := probe.Decode(saved.Probe, saved.With)
	if err != nil {
		t.Fatalf("%s: %v\n%s", module, err, saved.With)
	}
	judge, err := extract.Compile(saved.Action, probe.TraitsOf(spec).Fields...)
	if err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	d, err := dial.FromPlan(saved.Plan)
	if err != nil {
		t.Fatal(err)
	}
	prober, err := spec.Prober(probe.Env{
		Dialer: d, Timeout: saved.Plan.TimeoutOr(), ConnectTimeout: saved.Plan.ConnectTimeoutOr(), KeepHeaders: judge.Headers(),
		Secret: secret,
	})
	if err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	target1 := parseTarget(t, target)
	r := prober.Probe(context.Background(), target1)
	judge.Apply(&target1, &r)
	if c, ok := prober.(interface{ Close() error }); ok {
		c.Close()
	}
	return r
}

func secret(ref string) (muster.Secret, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	switch kind {
	case blackbox.SecretKind:
		return blackbox.Secret(rest)
	case "file":
		text, err := os.ReadFile(rest)
		return muster.NewSecret(strings.TrimSpace(string(text))), err
	}
	return muster.Secret{}, fmt.Errorf("secret %s", ref)
}

// parseTarget reads a URL, HOST:PORT or HOST.
func parseTarget(t *testing.T, s string) muster.Target {
	t.Helper()
	if !strings.Contains(s, "://") {
		s = "//" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	target := muster.Target{ID: s, Scheme: u.Scheme, Host: u.Hostname(), Path: u.RequestURI()}
	target.Addr, _ = netip.ParseAddr(target.Host)
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		target.Port = uint16(port)
	}
	if u.Path == "" {
		target.Path = ""
	}
	return target
}

// verdicts holds every module of a file against every target, with the exporter beside it.
func verdicts(t *testing.T, f *blackbox.File, judge func(module, target string) bool, targets map[string]string) {
	t.Helper()
	ok, all := 0, 0
	done := make(chan bool)
	slots := make(chan struct{}, 48)
	for _, module := range f.Names() {
		for name, target := range targets {
			all++
			go func() {
				slots <- struct{}{}
				want := false
				defer func() {
					<-slots
					done <- want
				}()
				r := run(t, f, module, target)
				want = judge(module, target)
				// Either may run out of time on a busy machine: both are asked again.
				for tries := 1; tries < 4 && (r.Outcome == muster.OK) != want; tries++ {
					r, want = run(t, f, module, target), judge(module, target)
				}
				if got := r.Outcome == muster.OK; got != want {
					t.Errorf("%s on %s: %v %v (%s; %s), the exporter says success %v", module, name, r.Outcome, r.Failure, r.Reason, r.Detail, want)
				}
				if r.Outcome == muster.Unexpected && r.Reason == "" || r.Outcome == muster.Invalid {
					t.Errorf("%s on %s: %v without a rule: %s %s", module, name, r.Outcome, r.Reason, r.Detail)
				}
			}()
		}
	}
	for range all {
		if <-done {
			ok++
		}
	}
	t.Logf("%d verdicts, %d of them success", all, ok)
	if ok < all/20 || ok > all*19/20 {
		t.Errorf("%d of %d are a success: this compares nothing", ok, all)
	}
}

// write puts a configuration into a file and reads it.
func write(t *testing.T, text string) (*blackbox.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blackbox.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := blackbox.Parse(path, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}
