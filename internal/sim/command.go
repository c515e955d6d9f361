package sim

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"time"
)

// execute runs a command that the fleet knows, or prints it.
func (sh *shell) execute(ctx context.Context, a *answering, command string) (uint32, error) {
	name, args, _ := strings.Cut(strings.TrimSpace(command), " ")
	switch name {
	case "false":
		return 1, nil
	case "exit":
		return exitCode(args), nil
	case "sleep":
		wait(ctx, seconds(args))
		return 0, context.Cause(ctx)
	case "yes":
		return 0, sh.repeat(ctx, bytes.Repeat([]byte("y\n"), 1<<12), -1)
	case "cat":
		_, err := io.Copy(sh.channel, sh.channel)
		return 0, err
	case "env":
		return 0, sh.print(ctx, sh.channel, a, []byte(strings.Join(append(sh.env, ""), "\n")))
	case "stderr":
		return 0, sh.print(ctx, sh.channel.Stderr(), a, []byte(args+"\n"))
	case "kill":
		return 0, signalled(strings.TrimPrefix(args, "-"))
	}
	return 0, sh.print(ctx, sh.channel, a, instantOutput(a, command))
}

// exitCode is the low byte of a number, as a shell has it.
func exitCode(s string) uint32 {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 2
	}
	return uint32(n) & 0xff
}

// seconds reads 1.5 or 200ms.
func seconds(s string) time.Duration {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(min(n, maxLatency.Seconds()) * float64(time.Second))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return min(d, maxLatency)
}
