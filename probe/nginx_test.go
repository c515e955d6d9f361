package probe

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

const nginxConfig = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; worker_rlimit_nofile 256;
events { worker_connections 128; }
http {
	access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	gzip on; gzip_types text/plain; gzip_min_length 1; default_type text/plain; charset utf-8; keepalive_requests 1000;
	server {
		listen 127.0.0.1:%[2]d; root %[1]s/www;
		location = /teapot { return 418 "short and stout"; }
		location = /away { return 302 /file.txt; }
	}
}`

// startNginx starts a real server on a free port, with one file of text.
func startNginx(t testing.TB, text string) muster.Target {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := targetAt(l.Addr())
	l.Close()
	for name, content := range map[string]string{"nginx.conf": fmt.Sprintf(nginxConfig, dir, target.Port), "www/file.txt": text} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-c", filepath.Join(dir, "nginx.conf"), "-p", dir, "-e", filepath.Join(dir, "error.log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p := compile(t, HTTP{}, Env{})
	for end := time.Now().Add(10 * time.Second); ; {
		r := p.Probe(t.Context(), target)
		if r.Failure != muster.FailRefused {
			return target
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("nginx does not listen: %s\n%s", r.Detail, log)
		}
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("käse ", 5000)
	target := startNginx(t, text)
	for _, way := range paths() {
		for _, c := range []struct {
			spec   HTTP
			code   int
			status string
			body   string
		}{
			{HTTP{URL: "/file.txt"}, 200, "200 OK", text},
			{HTTP{URL: "/file.txt", Compressed: true}, 200, "200 OK", text},
			{HTTP{URL: "/file.txt", Method: "HEAD"}, 200, "200 OK", ""},
			{HTTP{URL: "/teapot"}, 418, "", "short and stout"},
			{HTTP{URL: "/file.txt", BodyLimit: 5, Truncate: true}, 200, "200 OK", text[:5]},
		} {
			way.adapt(&c.spec)
			r := way.probe(t.Context(), compile(t, c.spec, Env{}), target)
			if r.Code != c.code || c.status != "" && r.Status != c.status || string(r.Body) != c.body {
				t.Errorf("%s %+v: %v %d %q, %d bytes: %s", way.name, c.spec, r.Outcome, r.Code, r.Status, len(r.Body), r.Detail)
			}
		}
	}
	p := compile(t, HTTP{URL: "/file.txt", Compressed: true}, Env{ReuseHint: true})
	for range 100 {
		if r := p.Probe(t.Context(), target); string(r.Body) != text {
			t.Fatalf("kept alive: %v %s", r.Outcome, r.Detail)
		}
	}
	if r := compile(t, HTTP{URL: "/away", Follow: 1}, Env{}).Probe(t.Context(), target); string(r.Body) != text {
		t.Errorf("redirect: %v %d %s", r.Outcome, r.Code, r.Detail)
	}
}
