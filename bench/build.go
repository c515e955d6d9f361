package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tools are the programs that take part; a peer that is not installed is "".
type tools struct {
	dir                    string // holds what was built, and state
	floor, server, netpool string
	packets                string // the floor of datagrams
	self                   string // this program, which also serves the sim
	curl, wrk, fping       string
	clush, pssh, sshd      string
	muster                 string
}

// build makes the floor, the C server and the worker pool. The sources are
// found from the module's root, where the bench is started.
func build(ctx context.Context, dir, muster string) (*tools, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	t := &tools{
		dir: dir, self: self,
		floor: filepath.Join(dir, "floor"), server: filepath.Join(dir, "server"), netpool: filepath.Join(dir, "netpool"),
		packets: filepath.Join(dir, "packets"),
	}
	for _, args := range [][]string{
		{"gcc", "-O2", "-o", t.floor, filepath.Join("bench", "floor.c")},
		{"gcc", "-O2", "-o", t.server, filepath.Join("bench", "server.c")},
		{"gcc", "-O2", "-o", t.packets, filepath.Join("bench", "packets.c")},
		{"go", "build", "-o", t.netpool, "./bench/netpool"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s (run bench at the root of the module): %w\n%s", args[len(args)-1], err, out)
		}
	}
	t.curl, _ = exec.LookPath("curl")
	t.wrk, _ = exec.LookPath("wrk")
	t.clush, _ = exec.LookPath("clush")
	t.pssh, _ = exec.LookPath("parallel-ssh")
	if _, err := os.Stat("/usr/sbin/sshd"); err == nil { // it wants to be called by its whole path
		t.sshd = "/usr/sbin/sshd"
	}
	t.fping, _ = exec.LookPath("fping")
	if exec.CommandContext(ctx, muster, "run", "http", "--help").Run() == nil {
		if t.muster, err = filepath.Abs(muster); err != nil {
			return nil, fmt.Errorf("find %s: %w", muster, err)
		}
	}
	return t, nil
}

// targetRange names the first n targets of the fleet as muster and curl write
// them; floor and netpool compute the same.
func targetRange(n int) (string, error) {
	switch {
	case n == 1:
		return "127.1.0.1", nil
	case n > 0 && n <= 50_000 && n%250 == 0:
		return fmt.Sprintf("127.1.[0-%d].[1-250]", n/250-1), nil
	case n > 50_000 && n%50_000 == 0 && n/50_000 < 255:
		return fmt.Sprintf("127.[1-%d].[0-199].[1-250]", n/50_000), nil
	}
	return "", fmt.Errorf("%d targets: want 1, a multiple of 250 up to 50,000, or a multiple of 50,000", n)
}

// ca is the file with the authority of the fleet that speaks TLS.
func (t *tools) ca() string { return filepath.Join(t.dir, "ca.pem") }
