package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	sshTargets  = 1000
	sshdTargets = 200
)

// sshdFanout is how many logins every client has under way at the one machine that serves them all: with
// more, sshd only makes them wait for each other until they time out.
const sshdFanout = "16"

// The files that clients log in with.
func (t *tools) sshKey() string     { return filepath.Join(t.dir, "id_ed25519") }
func (t *tools) knownHosts() string { return filepath.Join(t.dir, "known_hosts") }

// makeKey writes a new private key and returns the public one as a line.
func makeKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return ssh.MarshalAuthorizedKey(signer.PublicKey()), nil
}

// sshFleetClients run true on n targets of the simulated fleet.
func sshFleetClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		if _, err := makeKey(t.sshKey()); err != nil {
			return nil, err
		}
		targets, err := targetRange(n)
		if err != nil {
			return nil, err
		}
		port := strconv.Itoa(s.port)
		cs := []client{{name: "netpool (x/crypto/ssh)", args: []string{
			t.netpool, "-i", t.sshKey(), "-known-hosts", t.knownHosts(), "-p", port, "-n", strconv.Itoa(n), "-w", "64",
		}}}
		return append(cs, musterSSH(t, targets, port)...), nil
	}
}

// sshdClients run true on n addresses of a real sshd.
func sshdClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		port := strconv.Itoa(s.port)
		targets := fmt.Sprintf("127.1.0.[1-%d]", n)
		options := []string{"-F", "none", "-i", t.sshKey(), "-p", port, "-o", "UserKnownHostsFile=" + t.knownHosts(), "-o", "IdentitiesOnly=yes"}
		var cs []client
		if t.clush != "" {
			cs = append(cs, client{name: "clush", args: []string{
				t.clush, "-S", "-w", targets, "-f", sshdFanout, "-l", "root", "-o", strings.Join(options, " "), "true",
			}})
		}
		if t.pssh != "" {
			hosts := filepath.Join(t.dir, "hosts")
			if err := writeHosts(hosts, n); err != nil {
				return nil, err
			}
			args := []string{t.pssh, "-h", hosts, "-p", sshdFanout, "-l", "root"}
			for _, o := range options {
				args = append(args, "-X", o)
			}
			cs = append(cs, client{name: "parallel-ssh", args: append(args, "true")})
		}
		return append(cs, musterSSH(t, targets, port, "-f", sshdFanout)...), nil
	}
}

func musterSSH(t *tools, targets, port string, more ...string) []client {
	if t.muster == "" {
		return nil
	}
	args := append([]string{t.muster, "run", "ssh", "-w", targets, "--port", port}, more...)
	return []client{{name: "muster", state: true, args: append(
		args, "-u", "root", "-i", t.sshKey(), "--known-hosts", t.knownHosts(), "-F", "none", "--agent", "none", "-q", "--json", "--", "true",
	)}}
}
