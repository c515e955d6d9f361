package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pingHosts is how many hosts fping is beside muster for: it numbers them with 16 bits.
const pingHosts = 60_000

// pingRange names the loopback addresses that are pinged, 60,000 or a multiple of 50,000 of them.
func pingRange(n int) (string, error) {
	if n == pingHosts {
		return "127.1.[0-239].[1-250]", nil
	}
	return targetRange(n)
}

// pingClients ping n hosts once each; the kernel answers. fping's own limits end at 65,535.
func pingClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, _ *server) ([]client, error) {
		targets, err := pingRange(n)
		if err != nil {
			return nil, err
		}
		var cs []client
		if t.fping != "" && n <= pingHosts {
			list := filepath.Join(t.dir, "hosts")
			if err := writeHosts(list, n); err != nil {
				return nil, err
			}
			cs = append(cs, client{name: "fping -q -r0 -i0.01", args: []string{t.fping, "-q", "-r0", "-i0.01", "-f", list}})
		}
		if t.muster == "" {
			return cs, nil
		}
		run := []string{t.muster, "run", "ping", "-w", targets, "--tries", "1", "-q"}
		return append(cs,
			client{name: "muster --no-save", state: true, args: append(run[:len(run):len(run)], "--no-save")},
			client{name: "muster", state: true, args: run},
		), nil
	}
}

// writeHosts writes the addresses of pingRange, a line each.
func writeHosts(path string, n int) error {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)}))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the hosts of a peer: %w", err)
	}
	return nil
}

// echoesReceived is how many echo requests have reached this machine, its own among them.
func echoesReceived() (int, error) {
	b, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0, fmt.Errorf("read what the kernel has answered: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Icmp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "InEchos" && i < len(fields) {
				return strconv.Atoi(fields[i])
			}
		}
	}
	return 0, fmt.Errorf("/proc/net/snmp names no InEchos")
}
