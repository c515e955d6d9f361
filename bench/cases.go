package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// benchCase is one thing to measure.
type benchCase struct {
	name, title string
	n           int // exchanges per run
	rounds      int
	servers     []string // nil: those of the command line
	clients     func(*tools, *server) ([]client, error)
	connects    bool   // counts connections, not requests
	pool        string // client that CPU is compared with; "" is netpool
}

// client is one way to make the exchanges; the first of a case is its floor.
type client struct {
	name  string
	args  []string
	state bool // gets a fresh MUSTER_STATE_DIR
	timed bool // runs for a time; the server's count tells how much it did
	n     int  // exchanges, if fewer than the case's
}

func (s *settings) chosen() []benchCase {
	all := []benchCase{
		{name: "fresh", n: s.targets, rounds: s.rounds, title: "%s targets, a fresh connection each", clients: freshClients(s.targets)},
		{name: "million", n: 1_000_000, rounds: 1, title: "%s targets, a fresh connection each", clients: millionClients},
		{name: "keepalive", n: s.targets, rounds: s.rounds, title: "%s requests to one server on kept connections", clients: keepClients(s.targets)},
		{name: "one", n: 1, rounds: 4 * s.rounds, title: "%s target", clients: freshClients(1)},
		{name: "udp", n: s.targets, rounds: s.rounds, title: "%s targets, a datagram each", servers: []string{"c"}, clients: datagramClients("udp", s.targets)},
		{name: "dns", n: s.targets, rounds: s.rounds, title: "%s name servers, a question each", servers: []string{"c"}, clients: datagramClients("dns", s.targets)},
		{name: "connect", n: s.targets, rounds: s.rounds, title: "%s targets, a connect each", servers: []string{"c"}, clients: connectClients(s.targets), connects: true},
		{name: "tls", n: min(s.targets, handshakeTargets), rounds: s.rounds, title: "%s targets, a TLS handshake each", servers: []string{"tls"}, clients: handshakeClients(min(s.targets, handshakeTargets)), connects: true},
		{name: "ping", n: pingHosts, rounds: s.rounds, title: "%s hosts, an echo request each", servers: []string{kernelServer}, clients: pingClients(pingHosts)},
		{name: "pings", n: 1_000_000, rounds: 1, title: "%s hosts, an echo request each", servers: []string{kernelServer}, clients: pingClients(1_000_000)},
	}
	all = append(all,
		benchCase{name: "ssh", n: sshTargets, rounds: s.rounds, title: "%s targets, true over SSH each", servers: []string{"ssh"}, clients: sshFleetClients(sshTargets)},
		benchCase{name: "sshd", n: sshdTargets, rounds: 1, title: "%s addresses of a real sshd, true each", servers: []string{"sshd"}, clients: sshdClients(sshdTargets), pool: "clush"},
	)
	names, servers := strings.Split(s.cases, ","), strings.Split(s.servers, ",")
	var chosen []benchCase
	for _, c := range all {
		if slices.Contains(names, c.name) {
			if c.servers == nil {
				c.servers = servers
			}
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// freshClients ask n targets once each.
func freshClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		targets, err := targetRange(n)
		if err != nil {
			return nil, err
		}
		port, count := strconv.Itoa(s.port), strconv.Itoa(n)
		cs := []client{
			{name: "floor (C epoll)", args: []string{t.floor, "-p", port, "-n", count}},
			{name: "netpool (net/http)", args: []string{t.netpool, "-p", port, "-n", count, "-w", strconv.Itoa(min(n, 500))}},
		}
		if t.curl != "" {
			cs = append(cs, curl(t, min(n, curlTargets), port))
		}
		return append(cs, musterFresh(t, targets, port)...), nil
	}
}

// curlTargets bounds the transfers of one curl -Z, whose time per transfer grows
// with their number.
const curlTargets = 10_000

func curl(t *tools, n int, port string) client {
	targets, _ := targetRange(n) // n is curlTargets or the case's, which are fine
	return client{name: fmt.Sprintf("curl -Z (%s)", thousands(n)), n: n, args: []string{
		t.curl, "-q", "-sS", "-Z", "--parallel-max", "300", "--parallel-immediate", "-H", "Connection: close",
		"-o", "/dev/null", "http://" + targets + ":" + port + "/status",
	}}
}

// millionClients are those that a million targets are for.
func millionClients(t *tools, s *server) ([]client, error) {
	targets, err := targetRange(1_000_000)
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(s.port)
	cs := []client{{name: "floor (C epoll)", args: []string{t.floor, "-p", port, "-n", "1000000"}}}
	return append(cs, musterFresh(t, targets, port)...), nil
}

func musterFresh(t *tools, targets, port string) []client {
	if t.muster == "" {
		return nil
	}
	return []client{{name: "muster", state: true, args: []string{
		t.muster, "run", "http", "GET", "/status", "-w", targets + ":" + port, "-q", "--json",
	}}}
}

// keepClients ask one server n times; wrk asks for two seconds.
func keepClients(n int) func(*tools, *server) ([]client, error) {
	return func(t *tools, s *server) ([]client, error) {
		rows := filepath.Join(t.dir, "rows.csv")
		if err := writeRows(rows, n); err != nil {
			return nil, err
		}
		var cs []client
		addr := "127.0.0.1:" + strconv.Itoa(s.port)
		if t.wrk != "" {
			cs = append(cs, client{name: "wrk -t1 -c100", timed: true, args: []string{t.wrk, "-t1", "-c100", "-d2s", "http://" + addr + "/?n=1"}})
		}
		if t.muster != "" {
			cs = append(cs, client{name: "muster", state: true, args: []string{
				t.muster, "run", "http", "GET", "/?n={{.n}}", "--each", rows, "-w", addr, "-q", "--json",
			}})
		}
		return cs, nil
	}
}

func writeRows(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the rows of --each: %w", err)
	}
	defer f.Close() // the error that matters is that of the flush
	w := csv.NewWriter(f)
	_ = w.Write([]string{"n"}) // a csv.Writer keeps its first error
	for i := range n {
		_ = w.Write([]string{strconv.Itoa(i + 1)})
	}
	w.Flush()
	return w.Error()
}

// run measures a case against each server and prints its table. A client that
// fails is left out of the table; the error names it.
func (c *benchCase) run(ctx context.Context, out io.Writer, t *tools) error {
	fmt.Fprintf(out, "\n### "+c.title+"\n\n", thousands(c.n))
	var rows []row
	var errs []error
	for _, name := range c.servers {
		more, err := c.against(ctx, t, name)
		rows, errs = append(rows, more...), append(errs, err)
	}
	return errors.Join(append(errs, writeTable(out, c.peer(), rows))...)
}

// peer is the client that CPU is compared with.
func (c *benchCase) peer() string { return cmp.Or(c.pool, "netpool") }

// against measures all clients with a server of their own.
func (c *benchCase) against(ctx context.Context, t *tools, name string) ([]row, error) {
	s, err := startServer(t, name)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	clients, err := c.clients(t, s)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	samples, err := c.rotate(ctx, t, s, clients)
	err = errors.Join(err, s.stop())
	pool := slices.IndexFunc(clients, func(cl client) bool { return strings.HasPrefix(cl.name, c.peer()) })
	var rows []row
	for k := range clients {
		if len(samples[k]) == c.rounds {
			rows = append(rows, summarize(clients[k].name, s.name, samples, k, pool))
		}
	}
	return rows, err
}

// rotate runs the clients in turn, round after round, each round beginning with
// another one. A client that fails takes no further part.
func (c *benchCase) rotate(ctx context.Context, t *tools, s *server, clients []client) ([][]sample, error) {
	samples := make([][]sample, len(clients))
	failed := make([]error, len(clients))
	for round := range c.rounds {
		for i := range clients {
			k := (i + round) % len(clients)
			if failed[k] != nil || ctx.Err() != nil {
				continue
			}
			v, err := c.measure(ctx, t, s, &clients[k])
			if err != nil {
				failed[k] = fmt.Errorf("%s against %s: %w", clients[k].name, s.name, err)
				continue
			}
			samples[k] = append(samples[k], v)
			progress(c, s, &clients[k], v)
		}
	}
	return samples, errors.Join(append(failed, ctx.Err())...)
}

// progress tells the person who waits; the table comes at the end.
func progress(c *benchCase, s *server, cl *client, v sample) {
	if c.n > 1 {
		fmt.Fprintf(os.Stderr, "%s: %s against %s: %.2f s, %.1f us of CPU per exchange\n", c.name, cl.name, s.name, v.wall, v.cpuEach)
	}
}

// measure runs one client once.
func (c *benchCase) measure(ctx context.Context, t *tools, s *server, cl *client) (sample, error) {
	var env []string
	if cl.state {
		dir, err := os.MkdirTemp(t.dir, "state-")
		if err != nil {
			return sample{}, fmt.Errorf("make a state folder: %w", err)
		}
		defer os.RemoveAll(dir)
		env = []string{"MUSTER_STATE_DIR=" + dir}
	}
	if err := s.zero(ctx); err != nil {
		return sample{}, err
	}
	before, start := busy(), time.Now()
	u, err := runChild(ctx, env, cl.args...)
	if err != nil {
		return sample{}, err
	}
	took := time.Since(start)
	told, err := s.tell(ctx)
	if err != nil {
		return sample{}, err
	}
	if c.connects {
		told.Requests = told.Connections
	}
	if c.connects && s.name == "c" {
		told.Requests-- // the last one asked for this
	}
	n := cmp.Or(cl.n, c.n)
	if cl.timed {
		n = told.Requests
	}
	if told.Requests != n || n == 0 {
		return sample{}, fmt.Errorf("%s made %d requests of server %s, want %d: %s", cl.name, told.Requests, s.name, n, tail(u.stdout))
	}
	other := (busy() - before - u.cpu).Seconds() - told.CPUSeconds
	return sample{
		wall: u.wall.Seconds(), cpu: u.cpu.Seconds(), cpuEach: u.cpu.Seconds() * 1e6 / float64(n),
		rate: float64(n) / u.wall.Seconds(), rss: float64(u.rss) / (1 << 20), idle: told.Idle,
		serverEach: told.CPUSeconds * 1e6 / float64(n), other: max(0, 100*other/took.Seconds()),
	}, nil
}
