package dial_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unbound starts a real name server with the given local-data records and further server options,
// and returns its address.
func unbound(t testing.TB, options string, records ...string) string {
	t.Helper()
	bin, err := exec.LookPath("unbound")
	if err != nil {
		bin = "/usr/sbin/unbound"
		if _, err := os.Stat(bin); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("unbound is not installed")
			}
			t.Skip("unbound is not installed")
		}
	}
	port := freePort(t)
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, `server:
  interface: 127.0.0.1
  port: %d
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "test." static
  so-rcvbuf: 0
`, port, dir)
	b.WriteString(options)
	for _, r := range records {
		fmt.Fprintf(&b, "  local-data: %q\n", r)
	}
	b.WriteString("remote-control:\n  control-enable: no\n")
	conf := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	cmd := exec.Command(bin, "-d", "-c", conf)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-exited })
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	awaitServer(t, addr, exited, log)
	return addr
}

// awaitServer dials the server's TCP side, which it opens with the UDP side, until it answers.
func awaitServer(t testing.TB, addr string, exited <-chan struct{}, log fmt.Stringer) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-exited:
			t.Fatalf("unbound ended: %s", log)
		case <-limit:
			t.Fatal("unbound does not listen")
		}
	}
}

// freePort returns a port that is free for TCP and UDP.
func freePort(t testing.TB) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	t.Fatal("no port is free for TCP and UDP")
	return 0
}

// names returns n local-data records h0.test ... with distinct addresses.
func names(n int) []string {
	rs := make([]string, n)
	for i := range rs {
		rs[i] = fmt.Sprintf("h%d.test. 300 IN A 10.%d.%d.%d", i, i>>16, i>>8&0xff, i&0xff)
	}
	return rs
}
