// Command bench measures muster beside the floor and its peers, in one run and
// in alternation, against a C server and against the simulated fleet.
//
//	go run ./bench [-cases fresh,million,keepalive,one,udp,dns,connect,tls,ping,pings,ssh,sshd] [-rounds 5] [-quick]
//
// Cases:
//
//	fresh      100,000 targets, a fresh connection and a body of its own each;
//	           muster stores the results
//	million    1,000,000 targets; memory
//	keepalive  100,000 requests to one server on kept connections, beside wrk
//	one        one target: what starting costs
//	udp        100,000 targets, a datagram each; without and with stored results
//	dns        100,000 name servers, a question each; without and with stored results
//	connect    100,000 targets, a connect each; without and with stored results
//	tls        20,000 targets, a handshake each, beside crypto/tls in a bare loop
//	ping       60,000 hosts, an echo request each, beside fping; needs root
//	pings      1,000,000 hosts; memory
//	ssh        1,000 targets of the simulated fleet, a login and a command each,
//	           beside x/crypto/ssh in a bare loop
//	sshd       200 addresses of a real sshd, beside clush and parallel-ssh, which
//	           fork ssh; needs root
//
// Every client asks the same targets in the same order. Figures are medians of
// the rounds, ratios medians of the ratios within each round. A run counts only
// if the server saw exactly the requests that were to be made. bin/muster takes
// part if it exists, curl, wrk, fping, clush and parallel-ssh if they are
// installed; gcc is needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

// settings are the command line.
type settings struct {
	cases   string
	rounds  int
	targets int
	quick   bool
	muster  string
	out     string
	servers string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == simCommand {
		if err := serveSim(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: sim:", err)
			os.Exit(1)
		}
		return
	}
	var s settings
	flag.StringVar(&s.cases, "cases", "fresh,million,keepalive,one,udp,dns,connect,tls,ping,pings,ssh,sshd", "cases to run")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds per case")
	flag.IntVar(&s.targets, "n", 100_000, "targets of fresh and requests of keepalive, a multiple of 250, above 50,000 of 50,000")
	flag.BoolVar(&s.quick, "quick", false, "one round of 10,000 targets, without the millions and sshd, not written to -out")
	flag.StringVar(&s.muster, "muster", "bin/muster", "muster program; left out if it does not exist")
	flag.StringVar(&s.servers, "servers", "c,sim", "servers to ask")
	flag.StringVar(&s.out, "out", "docs/performance.md", `file whose measured part to replace; "" for none`)
	flag.Parse()
	if s.quick {
		s.rounds, s.targets, s.out = 1, 10_000, ""
		s.cases = strings.NewReplacer("million", "", "pings", "", "sshd", "").Replace(s.cases)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (s *settings) run(ctx context.Context) error {
	if s.rounds < 1 {
		return fmt.Errorf("rounds %d: want at least 1", s.rounds)
	}
	if _, err := targetRange(s.targets); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer os.RemoveAll(dir)
	tools, err := build(ctx, dir, s.muster)
	if err != nil {
		return err
	}
	var report strings.Builder
	out := io.MultiWriter(os.Stdout, &report)
	fmt.Fprintln(out, machine(time.Now()))
	var errs []error
	for _, c := range s.chosen() {
		if err := c.run(ctx, out, tools); err != nil {
			errs = append(errs, fmt.Errorf("case %s: %w", c.name, err))
		}
	}
	if s.out != "" && ctx.Err() == nil {
		errs = append(errs, writeReport(s.out, report.String()))
	}
	return errors.Join(errs...)
}
