package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func (p *Program) runTCPCommand() *cobra.Command {
	r, f := &request{}, &tcpFlags{}
	cmd := &cobra.Command{
		Use:   "tcp",
		Short: "Connect to every target, and hold a dialogue",
		Long: `Opens one TCP connection to every target. Without steps a target that accepts is ok. The flags
--send, --send-hex, --expect-re, --expect-raw and --starttls are the steps of a dialogue, done in
the order in which they stand; what came is the body. --send is a template of the target's
variables with the escapes \r \n \t \0 \xHH \\ and \$; ${1} and ${name} stand for what the groups
of earlier expectations caught. Named groups become fields. A password is {{secret "env:NAME"}}.

An expectation looks for a line that matches. A peer that answers otherwise is unexpected, one
that says nothing has failed: timeout, or reset if it closes.

` + exitHelp,
		Example: `  muster run tcp -w 10.0.0.0/16 --port 22
  muster run tcp -w 'db[01-40]' --port 6379 --send 'PING\r\n' --expect-re '^\+PONG'
  muster run tcp -w @mail --port 25 --expect-re '^220 (?P<mta>\S+)' --send 'QUIT\r\n' --group-by mta
  muster run tcp -w @mail --port 25 --expect-re ^220 --send 'EHLO me\r\n' --expect-re '^250 ' \
      --send 'STARTTLS\r\n' --expect-re ^220 --starttls --send 'EHLO me\r\n' --expect-re '^250 '
  muster run tcp -w 'web[1-9]:7' --send 'hello {{.host}}\n' --until idle --idle 500ms`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runTCP(cmd.Context(), r, f) },
	}
	r.add(cmd, "TCP connection", f.add)
	return cmd
}

func (p *Program) runTCP(ctx context.Context, r *request, f *tcpFlags) error {
	spec, err := p.tcpSpec(f)
	if err != nil {
		return err
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "tcp", With: with, Expect: r.expect})
}

// tcpFlags are the flags of one connection and the dialogue over it.
type tcpFlags struct {
	port, until, bodyLimit string
	steps                  []probe.Step
	stepsFile              string
	secure, truncate       bool
	idle                   time.Duration
	tls                    tlsFlags
}

func (f *tcpFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none")
	step := func(name, usage string, set func(*probe.Step, string)) {
		fs.Var(&stepFlag{&f.steps, set}, name, usage)
	}
	step("send", "send this `TEXT`: 'PING\\r\\n', 'USER {{.user}}\\r\\n', 'TOKEN ${1}\\r\\n'", func(s *probe.Step, v string) { s.Send = v })
	step("send-hex", "send these `BYTES`: '16 03 01'", func(s *probe.Step, v string) { s.Hex = v })
	step("expect-re", "wait for a line that matches this `RE`", func(s *probe.Step, v string) { s.Expect = v })
	step("expect-raw", "the same in all that came, line ends included: prompts, binary `RE`", func(s *probe.Step, v string) { s.Expect, s.Raw = v, true })
	fs.Var(&startTLSFlag{&f.steps}, "starttls", "go on over TLS from here")
	fs.Lookup("starttls").NoOptDefVal = "true"
	fs.StringVar(&f.stepsFile, "steps", "", "the steps from this `FILE` instead: a YAML or JSON list of send, hex, expect, expect_bytes, starttls")
	fs.StringVar(&f.until, "until", "", "then read until `none|close|idle|delim:TEXT|len:N` (default idle after --send, else none)")
	fs.DurationVar(&f.idle, "idle", probe.DefaultIdle, "silence that ends an answer or an expectation")
	fs.BoolVar(&f.secure, "tls", false, "speak TLS from the first byte")
	f.tls.add(fs)
	fs.StringVar(&f.bodyLimit, "body-limit", "1MiB", "a peer that sends more is too_large, or cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut larger answers and mark them")
}

// tlsFlags say how TLS is spoken.
type tlsFlags struct {
	cacert, cert, key, serverName, min string
	insecure                           bool
}

func (f *tlsFlags) add(fs *pflag.FlagSet) {
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "do not verify the target's certificate")
	fs.StringVar(&f.cacert, "cacert", "", "verify the target with the authorities in this `FILE`")
	fs.StringVarP(&f.cert, "cert", "E", "", "client certificate `FILE` (PEM)")
	fs.StringVar(&f.key, "key", "", "its private key: `FILE` (PEM) or env:VAR")
	fs.StringVar(&f.serverName, "server-name", "", "`NAME` for SNI and verification (default: the target's)")
	fs.StringVar(&f.min, "tls-min", "", "lowest `VERSION`: 1.0, 1.1, 1.2 or 1.3 (default 1.2)")
}

func (f *tlsFlags) options() probe.TLS {
	return probe.TLS{CA: f.cacert, Cert: f.cert, Key: f.key, ServerName: f.serverName, Insecure: f.insecure, MinVersion: f.min}
}

// stepFlag adds a step each time it is given, so that the order of the command line is kept.
type stepFlag struct {
	steps *[]probe.Step
	set   func(*probe.Step, string)
}

func (f *stepFlag) String() string { return "" }
func (f *stepFlag) Type() string   { return "string" }

func (f *stepFlag) Set(text string) error {
	if text == "" {
		return fmt.Errorf("want a text")
	}
	var s probe.Step
	f.set(&s, text)
	*f.steps = append(*f.steps, s)
	return nil
}

type startTLSFlag struct{ steps *[]probe.Step }

func (f *startTLSFlag) String() string   { return "" }
func (f *startTLSFlag) Type() string     { return "bool" }
func (f *startTLSFlag) IsBoolFlag() bool { return true }

func (f *startTLSFlag) Set(text string) error {
	if text != "true" {
		return fmt.Errorf("want no value")
	}
	*f.steps = append(*f.steps, probe.Step{StartTLS: true})
	return nil
}

// tcpSpec compiles the flags into the probe's parameters.
func (p *Program) tcpSpec(f *tcpFlags) (*probe.TCP, error) {
	limit, err := parseBytes(f.bodyLimit)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	s := &probe.TCP{
		Port: f.port, Secure: f.secure, TLS: f.tls.options(), Steps: f.steps, Until: f.until, BodyLimit: limit, Truncate: f.truncate,
	}
	if f.idle != probe.DefaultIdle {
		s.IdleTimeout = muster.Duration(f.idle)
	}
	if f.stepsFile != "" {
		if len(f.steps) > 0 {
			return nil, usageError{fmt.Errorf("--steps %s: the command line has steps of its own (--send, --expect-re, …); give one or the other", f.stepsFile)}
		}
		if s.Steps, err = readSteps(f.stepsFile); err != nil {
			return nil, usageError{fmt.Errorf("--steps %s: %w", f.stepsFile, err)}
		}
	}
	if err := s.Validate(); err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// readSteps reads a list of steps in YAML, of which JSON is a part.
func readSteps(path string) ([]probe.Step, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	var steps []probe.Step
	if err := d.Decode(&steps); err != nil {
		return nil, fmt.Errorf("%w: want a list such as [{expect: ^220}, {send: 'QUIT\\r\\n'}]", err)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("there are no steps in it")
	}
	return steps, nil
}
