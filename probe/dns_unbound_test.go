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

const unboundConfig = `server:
  interface: 127.0.0.1@%[2]d
  interface: 127.0.0.1@%[3]d
  tls-port: %[3]d
  tls-service-key: %[4]q
  tls-service-pem: %[5]q
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  username: ""
  chroot: ""
  directory: %[1]q
  pidfile: ""
  nsid: ascii_ns1
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  so-rcvbuf: 0
  local-zone: "test." static
  local-data: "test. 300 IN SOA ns.test. root.test. 2026112001 3600 600 86400 300"
  local-data: "a.test. 300 IN A 10.0.0.2"
  local-data: "a.test. 300 IN A 10.0.0.1"
  local-data: "mx.test. 60 IN MX 10 mail.test."
%[6]sremote-control:
  control-enable: no
`

// startUnbound starts a real name server, which speaks TLS with the certificate as well.
func startUnbound(t testing.TB, cert, key string) (plain, secure muster.Target) {
	t.Helper()
	bin, err := exec.LookPath("unbound")
	if err != nil {
		bin = "/usr/sbin/unbound"
	}
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("unbound is not installed")
	}
	dir := t.TempDir()
	var long strings.Builder
	for i := range 200 {
		fmt.Fprintf(&long, "  local-data: \"long.test. 300 IN A 10.1.0.%d\"\n", i)
	}
	for range 10 { // somebody else may take a port that was free
		plain, secure = closedPort(t), closedPort(t)
		conf := filepath.Join(dir, "unbound.conf")
		text := fmt.Sprintf(unboundConfig, dir, plain.Port, secure.Port, key, cert, long.String())
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if serveUntilEnd(t, exec.Command(bin, "-d", "-c", conf), secure.ID) {
			return plain, secure
		}
	}
	t.Fatal("unbound finds no free port")
	return plain, secure
}

// serveUntilEnd starts a server that ends with the test, and waits until it listens; false when it found its port taken.
func serveUntilEnd(t testing.TB, cmd *exec.Cmd, addr string) bool {
	t.Helper()
	var log strings.Builder
	cmd.Stderr = &log
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
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return true
		}
		select {
		case <-tick.C:
		case <-ended:
			if strings.Contains(log.String(), "Address already in use") {
				return false
			}
			t.Fatalf("the server ended: %s", log.String())
		}
	}
	t.Fatal("the server does not listen")
	return false
}

func TestDNSUnbound(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	_, cert, key := a.issue("ns.test", time.Now().Add(time.Hour))
	plain, secure := startUnbound(t, cert, key)
	for _, c := range []struct {
		name   string
		spec   DNS
		status string
		fields map[string]any
	}{
		{"addresses", DNS{Name: "a.test"}, "NOERROR", map[string]any{"answer": "10.0.0.1 10.0.0.2", "answers": 2.0, "min_ttl": 300.0, "ra": true, "tc": false}},
		{"a name in capitals", DNS{Name: "A.TEST."}, "NOERROR", map[string]any{"answers": 2.0}},
		{"mail", DNS{Name: "mx.test", Type: "MX"}, "NOERROR", map[string]any{"answer": "10 mail.test."}},
		{"zone", DNS{Name: "test", Type: "SOA", NoRecurse: true}, "NOERROR", map[string]any{"serial": 2026112001.0}},
		{"none", DNS{Name: "b.test"}, "NXDOMAIN", map[string]any{"answers": 0.0, "authority": 1.0}},
		{"no data", DNS{Name: "a.test", Type: "AAAA"}, "NOERROR", map[string]any{"answers": 0.0}},
		{"its name", DNS{Name: "a.test", NSID: true}, "NOERROR", map[string]any{"nsid": "ns1"}},
		{"cut over UDP", DNS{Name: "long.test"}, "NOERROR", map[string]any{"answers": 200.0, "tc": true}},
		{"cut, kept", DNS{Name: "long.test", NoTCP: true}, "NOERROR", map[string]any{"tc": true}},
		{"large over UDP", DNS{Name: "long.test", UDPSize: 4096}, "NOERROR", map[string]any{"answers": 200.0, "tc": false}},
		{"TCP", DNS{Name: "long.test", Transport: "tcp"}, "NOERROR", map[string]any{"answers": 200.0, "tc": false}},
		{"TLS", DNS{Name: "a.test", Transport: "tls", TLS: TLS{CA: a.ca(), ServerName: "ns.test"}}, "NOERROR", map[string]any{"answer": "10.0.0.1 10.0.0.2"}},
	} {
		target := plain
		ways := datagramPaths()
		if c.spec.Transport != "" {
			ways = ways[len(ways)-1:]
		}
		if c.spec.Transport == "tls" {
			target = secure
		}
		p := proberOf(t, c.spec, Env{})
		for _, way := range ways {
			r := way.probe(t.Context(), p, target)
			if r.Outcome != muster.OK || r.Status != c.status {
				t.Errorf("%s, %s: %v %q %s", c.name, way.name, r.Outcome, r.Status, r.Detail)
			}
			for name, want := range c.fields {
				if got := fieldOf(&r, name); got != want {
					t.Errorf("%s, %s: field %s is %v, want %v", c.name, way.name, name, got, want)
				}
			}
		}
	}
}
