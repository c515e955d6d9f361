// Package cli is muster's command line: it turns flags into a job, runs it, and
// shows what came back. Results go to standard output, progress and messages to
// standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/sink"
)

// Program is one invocation of muster, with its surroundings as values so that tests can
// run it whole.
type Program struct {
	Version string
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	// Getenv reads the environment.
	Getenv func(string) string
	// Interrupts relays interrupts to c until stop is called. Only a run under way and a simulated
	// fleet ask for them; at any other time an interrupt ends the process, whatever it waits
	// for. Nil relays none.
	Interrupts func(c chan<- os.Signal) (stop func())
	// Show delivers requests to print the state of the run (SIGUSR1).
	Show <-chan os.Signal

	defaults defaults
	usual    map[string]bool          // flags that the defaults file set
	args     []string                 // of this invocation
	given    map[string]muster.Secret // secrets that stood on the command line
}

// Run executes one command line and returns its exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	p.args = args
	out := &output{w: p.Out}
	p.Out = out
	defer func() { p.Out = out.w }()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	err := root.ExecuteContext(ctx)
	if lost := out.failed(); lost != nil && (err == nil || isExit(err) && !errors.Is(err, exitWith(exitInterrupted))) {
		err = fmt.Errorf("write standard output: %w", lost)
	}
	code, quiet := exitCode(err)
	if err != nil && !quiet {
		fmt.Fprintf(p.Err, "muster: %s\n", visible(withoutUserinfo(err.Error())))
	}
	return code
}

// warn prints a message that does not end the command.
func (p *Program) warn(format string, args ...any) {
	fmt.Fprintf(p.Err, "muster: %s\n", visible(withoutUserinfo(fmt.Sprintf(format, args...))))
}

func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "Send an action to a fleet of endpoints and account for every one of them",
		Long: `muster sends an action to any number of endpoints at once, with a concurrency it
controls, groups what came back, and accounts for every target: N in, N out.

Results go to standard output, progress and messages to standard error.`,
		Example: `  muster run http GET /status -w 'web[01-40]:8080' -b
  muster run http GET /version -w 10.0.0.0/20 --extract version=json:$.version --group-by version
  muster job rollup last --by status
  muster job rerun last --failed`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return p.applyDefaults(cmd) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
	})
	root.AddCommand(p.runCommand(), p.setCommand(), p.jobCommand(), p.copyCommand(), p.simCommand(), p.demoCommand(), p.versionCommand())
	strict(root)
	return root
}

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintf(p.Out, "muster %s\n", p.Version) },
	}
}

// Exit codes, in the order in which they win over one another: 130, 1, 5, 6, 3, 2, 0.
const (
	exitOK          = 0   // every target ok
	exitError       = 1   // usage or internal error, or results that could not be stored
	exitNotOK       = 2   // some target is not ok
	exitNoAnswer    = 3   // no target answered
	exitStopped     = 5   // stopped by the error budget or the canary
	exitDenied      = 6   // every target denied by policy
	exitInterrupted = 130 // interrupted by a signal
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitWith ends the command with a code and no further message: all has been said.
type exitWith int

func (e exitWith) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func isExit(err error) bool {
	_, ok := errors.AsType[exitWith](err)
	return ok
}

// exitCode maps an error to the exit code; quiet says that nothing needs printing.
func exitCode(err error) (code int, quiet bool) {
	if err == nil {
		return exitOK, true
	}
	if e, ok := errors.AsType[exitWith](err); ok {
		return int(e), true
	}
	if errors.Is(err, sink.ErrClosedPipe) || errors.Is(err, syscall.EPIPE) {
		return exitError, true
	}
	return exitError, false
}
