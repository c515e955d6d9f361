// Command muster sends an action to a fleet of endpoints and accounts for every one of them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	// A reader that goes away (| head) is an error of the write, not the death of the job.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks
		signal.Notify(signals, syscall.SIGHUP)
	}
	show := make(chan os.Signal, 1)
	signal.Notify(show, syscall.SIGUSR1)
	if _, err := dial.RaiseLimit(); err != nil {
		fmt.Fprintln(os.Stderr, "muster: the limit of open files stays as it is:", err)
	}
	p := &cli.Program{
		Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Signals: signals, Show: show,
	}
	os.Exit(p.Run(context.Background(), os.Args[1:]))
}
