package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func (p *Program) runWSCommand() *cobra.Command {
	r, f := &request{targets: targetFlags{urls: true}}, &wsFlags{}
	cmd := &cobra.Command{
		Use:   "ws [PATH|URL]",
		Short: "Open a WebSocket to every target, and hold a dialogue",
		Long: `Upgrades one connection to every target to a WebSocket, holds a dialogue of messages, and closes it.
A path is applied to the targets of -w, -g and --hostfile; a full ws or wss URL alone is its own
target. Without steps a target that upgrades is ok; any other status is unexpected.

--send, --send-hex and --expect-re are the steps, done in the order in which they stand: a text
message, a binary one, a message that matches. Templates, escapes, ${1} and named groups are
those of muster run tcp. The body is the messages that came, one per line.

` + exitHelp,
		Example: `  muster run ws /healthz -w 'app[01-40]:8080'
  muster run ws wss://feed.example.com/v1 --send '{"op":"ping"}' --expect-re pong
  muster run ws /feed -w @feeds --port 9000 --send '{"sub":"{{.host}}"}' --count 3
  muster run ws /mqtt -w @brokers --scheme wss --subprotocol mqtt --extract p=expr:subprotocol
  muster run ws /admin -w @web -H 'Authorization: Bearer {{secret "env:TOKEN"}}' --expect 'status == 403'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runWS(cmd.Context(), r, f, args) },
	}
	r.add(cmd, "WebSocket", f.add)
	return cmd
}

func (p *Program) runWS(ctx context.Context, r *request, f *wsFlags, args []string) error {
	_, action, base, err := splitAction(args, r.targets.given())
	if err != nil {
		return err
	}
	spec, err := p.wsSpec(f, action)
	if err != nil {
		return err
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, base, muster.Action{Probe: "ws", With: with, Expect: r.expect})
}

// wsFlags are the flags of one WebSocket.
type wsFlags struct {
	scheme, port, bodyLimit string
	headers, subprotocols   []string
	steps                   []probe.Step
	count                   int
	idle                    time.Duration
	truncate                bool
	tls                     tlsFlags
}

func (f *wsFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.scheme, "scheme", "", "`ws|wss` for targets that name no scheme (default ws)")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none (default the scheme's)")
	fs.StringArrayVarP(&f.headers, "header", "H", nil, "header of the upgrade: `'NAME: VALUE'`")
	fs.StringArrayVar(&f.subprotocols, "subprotocol", nil, "offer this `PROTOCOL`")
	fs.Var(&stepFlag{&f.steps, func(s *probe.Step, v string) { s.Send = v }}, "send", "send this `TEXT` as a message")
	fs.Var(&stepFlag{&f.steps, func(s *probe.Step, v string) { s.Hex = v }}, "send-hex", "send these `BYTES` as a binary message: '00 ff'")
	fs.Var(&stepFlag{&f.steps, func(s *probe.Step, v string) { s.Expect = v }}, "expect-re", "wait for a message that matches this `RE`")
	fs.IntVar(&f.count, "count", 0, "then wait for this many messages (default 1 after --send, else none)")
	fs.DurationVar(&f.idle, "idle", probe.DefaultIdle, "silence after a message that ends an expectation")
	f.tls.add(fs)
	fs.StringVar(&f.bodyLimit, "body-limit", "1MiB", "more bytes of messages are too_large, or cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut what goes beyond the limit, and mark it")
}

// wsSpec compiles the flags and the path into the probe's parameters.
func (p *Program) wsSpec(f *wsFlags, action string) (*probe.WebSocket, error) {
	limit, err := parseBytes(f.bodyLimit)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	w := &probe.WebSocket{
		URL: action, Scheme: f.scheme, Port: f.port, Subprotocols: f.subprotocols, TLS: f.tls.options(), Steps: f.steps,
		Count: f.count, BodyLimit: limit, Truncate: f.truncate,
	}
	if f.idle != probe.DefaultIdle {
		w.IdleTimeout = muster.Duration(f.idle)
	}
	for _, text := range f.headers {
		field, err := probe.ParseHeader(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("-H: %w", err)}
		}
		w.Header = append(w.Header, field)
	}
	if err := w.Validate(); err != nil {
		return nil, usageError{err}
	}
	h := probe.HTTP{Header: w.Header}
	p.hide(&h) // last: what stands in place of a secret tells nothing of its defects
	w.Header = h.Header
	return w, nil
}
