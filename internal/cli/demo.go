package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/sim"
)

// demoSet is the demo's fleet: 10,000 addresses.
const demoSet = "127.1.[0-39].[1-250]"

func (p *Program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Start a simulated fleet of 10,000 and run real commands on it",
		Long: `Starts a simulated fleet that answers on 10,000 loopback addresses (some slow, some
failing, three software versions), runs commands on it as a user would, and says what
to try next. Nothing leaves this machine, and the runs are stored apart from yours.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context()) },
	}
}

func (p *Program) demo(ctx context.Context) error {
	state, err := os.MkdirTemp("", "muster-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	var interrupted atomic.Bool
	defer p.interrupts(ctx, func(os.Signal) { interrupted.Store(true) })()
	fleet := sim.Fleet{Seed: 7}
	for _, set := range []struct {
		value interface{ UnmarshalText([]byte) error }
		text  string
	}{
		{&fleet.Mix, "ok*950,slow:50ms-400ms*30,status:503*15,reset*3,hang*2"},
		{&fleet.Versions, "2.4.1*90,2.4.0*9,2.3.9*1"},
	} {
		if err := set.value.UnmarshalText([]byte(set.text)); err != nil {
			return err
		}
	}
	server, err := fleet.Start(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	targets := demoSet + ":" + server.Port()
	fmt.Fprintf(p.Err, "A simulated fleet of 10,000 answers at %s.\n", targets)
	for _, step := range p.demoSteps(targets) {
		if interrupted.Load() { // a step under way says so itself
			return exitWith(exitInterrupted)
		}
		fmt.Fprintf(p.Err, "\n# %s\n$ muster %s\n", step.what, shellLine(step.args))
		if err := p.demoStep(ctx, state, step.args); err != nil {
			return err
		}
	}
	stats := server.Stats()
	fmt.Fprintf(p.Err, "\nThe fleet counted %d requests from %d addresses, at most %d at one address.\n", stats.Requests, stats.DistinctAddresses, stats.MaxHitsPerAddress)
	fmt.Fprint(p.Err, demoNext)
	return nil
}

const demoNext = `
Try next, with a fleet of your own:
  muster sim --listen :8080 --mix 'ok*97,status:503*2,hang*1' &
  muster run http GET /status -w '127.1.[0-255].[1-250]:8080' -b --timeout 3s
  muster run http GET /status -w '127.1.[0-255].[1-250]:8080' --max-errors 50 --canary 1%
  muster job ls
  muster job rollup last --by outcome
  muster run --help
`

type demoStep struct {
	what string
	args []string
}

func (p *Program) demoSteps(targets string) []demoStep {
	timeout := []string{"--timeout", "2s"}
	http := append([]string{"run", "http", "GET", "/status", "-w", targets}, timeout...)
	with := func(more ...string) []string { return append(append([]string{}, http...), more...) }
	return []demoStep{
		{"What does the fleet say? Grouped by status, with folded sets of targets.", with("--group-by", "status")},
		{"Which versions run, and how busy are they?", with("--extract", "version=json:$.version", "--extract", "cpu=json:$.cpu", "--group-by", "version")},
		{"The run is stored: group it again by another rule, without sending anything.", []string{"job", "rollup", "last", "--by", "outcome"}},
		{"Try again only what failed.", []string{"job", "rerun", "last", "--failed", "--group-by", "status"}},
		{"A careful change: a canary first, and an exact error budget of 20.", with("--canary", "1%,5", "--max-errors", "20", "--group-by", "outcome")},
	}
}

// demoStep runs one command line in this process, with a store of its own.
func (p *Program) demoStep(ctx context.Context, state string, args []string) error {
	sub := *p
	sub.Getenv = func(name string) string {
		switch name {
		case "MUSTER_STATE_DIR":
			return state
		case "MUSTER_CONFIG_DIR":
			return filepath.Join(state, "config")
		case "COLUMNS":
			return strconv.Itoa(terminalWidth(p.Out))
		}
		return p.Getenv(name)
	}
	code := sub.Run(ctx, args)
	fmt.Fprintf(p.Err, "(exit code %d)\n", code)
	if code == exitError || code == exitInterrupted {
		return exitWith(code)
	}
	return nil
}

// shellLine writes arguments so that a shell reads them back.
func shellLine(args []string) string {
	var line strings.Builder
	for i, a := range args {
		if i > 0 {
			line.WriteString(" ")
		}
		line.WriteString(shellQuote(a))
	}
	return line.String()
}
