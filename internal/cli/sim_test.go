package cli_test

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The simulated fleet says where each of its services listens, and ends when it is told to.
func TestSimServices(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hosts := filepath.Join(s.dir, "known_hosts")
	p := s.start("sim", "--tcp", ":0", "--udp", ":0", "--ssh", ":0", "--dns", ":0", "--grpc", ":0", "--grpc-tls", ":0",
		"--tls", ":0", "--known-hosts-out", hosts, "--rule", "127.0.0.9=status:554")
	p.out.await(t, `(?m)^admin http://127\.0\.0\.1:\d+$`)
	for _, service := range []string{"tls", "udp", "ssh", "dns", "grpc", "grpc-tls"} {
		wants(t, p.out, `(?m)^listening on 127\.0\.0\.1:[1-9]\d* \(`+service+`\)$`)
	}
	port := p.out.await(t, `(?m)^listening on 127\.0\.0\.1:([1-9]\d*) \(tcp\)$`)[1]
	c, err := net.Dial("tcp", "127.0.0.9:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "554 127.0.0.9 muster-sim ready\r\n" {
		t.Errorf("%q, %v", line, err)
	}
	if text, err := os.ReadFile(hosts); err != nil || len(text) == 0 {
		t.Errorf("known_hosts: %q, %v", text, err)
	}
	p.signal(syscall.SIGINT)
	p.exits(0)
	s.run(1, "sim", "--ssh", "nowhere")
	wants(t, s.run(1, "sim", "--tcp", "127.0.0.9:"+port+"0").err, `listen "127\.0\.0\.9:\d+": port`)
}
