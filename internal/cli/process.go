package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/musterhq/muster/dial"
)

// Main is the program as a process: with its arguments, streams, environment and signals. It
// returns the exit code.
func Main(version string) int {
	// A reader that goes away (| head) and a file that may not grow (ulimit -f) are errors of
	// the write, not the death of the job.
	// They are caught, not ignored: commands of group sources would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	show := make(chan os.Signal, 1)
	signal.Notify(show, syscall.SIGUSR1)
	if _, err := dial.RaiseLimit(); err != nil {
		fmt.Fprintln(os.Stderr, "muster: the limit of open files stays as it is:", err)
	}
	p := &Program{
		Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Interrupts: relayInterrupts, Show: show,
	}
	return p.Run(context.Background(), os.Args[1:])
}

func relayInterrupts(c chan<- os.Signal) (stop func()) {
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks
		signal.Notify(c, syscall.SIGHUP)
	}
	return func() { signal.Stop(c) }
}

// interrupts calls take for every interrupt, one after the other, until release is called.
func (p *Program) interrupts(ctx context.Context, take func(os.Signal)) (release func()) {
	if p.Interrupts == nil {
		return func() {}
	}
	c := make(chan os.Signal, 2)
	stop := p.Interrupts(c)
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case sig := <-c:
				take(sig)
			}
		}
	})
	return func() {
		stop()
		end()
		wg.Wait()
	}
}

// untilInterrupted returns a context that ends with the first interrupt.
func (p *Program) untilInterrupted(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	release := p.interrupts(ctx, func(os.Signal) { cancel() })
	return ctx, func() {
		release()
		cancel()
	}
}
