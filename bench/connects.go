package main

import "strconv"

// connectClients connect to n targets once each, and close.
func connectClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		targets, err := targetRange(n)
		if err != nil {
			return nil, err
		}
		port := strconv.Itoa(s.port)
		cs := []client{{name: "floor (C epoll)", args: []string{t.floor, "-k", "-p", port, "-n", strconv.Itoa(n)}}}
		if t.muster == "" {
			return cs, nil
		}
		run := []string{t.muster, "run", "tcp", "-w", targets + ":" + port, "-q", "--json"}
		return append(cs,
			client{name: "muster --no-save", state: true, args: append(run[:len(run):len(run)], "--no-save")},
			client{name: "muster", state: true, args: run},
		), nil
	}
}

// handshakeTargets bounds the TLS sweep: a handshake costs what a hundred connects do.
const handshakeTargets = 20_000

// handshakeClients shake hands with n targets once each. The floor is crypto/tls alone in a loop.
func handshakeClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		targets, err := targetRange(n)
		if err != nil {
			return nil, err
		}
		port := strconv.Itoa(s.port)
		cs := []client{{name: "netpool (crypto/tls)", args: []string{t.netpool, "-ca", t.ca(), "-p", port, "-n", strconv.Itoa(n), "-w", "64"}}}
		if t.muster == "" {
			return cs, nil
		}
		run := []string{t.muster, "run", "tls", "-w", targets + ":" + port, "--cacert", t.ca(), "-q", "--json"}
		return append(cs,
			client{name: "muster --no-save", state: true, args: append(run[:len(run):len(run)], "--no-save")},
			client{name: "muster", state: true, args: run},
		), nil
	}
}
