package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// execFlags are the flags of a local command per target.
type execFlags struct {
	shell, nagios, truncate      bool
	env                          []string
	dir, stdin, port, outputSize string
}

func (f *execFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.shell, "shell", false, "take COMMAND for a script of /bin/sh; {{.x | sh}} makes one word of a value")
	fs.StringArrayVar(&f.env, "env", nil, "set a variable of the command's environment: `NAME=VALUE`, a template")
	fs.StringVar(&f.dir, "chdir", "", "run it in this `DIR`, a template")
	fs.StringVar(&f.stdin, "stdin", "", "what it reads: `TEXT` (a template), @FILE or @- for standard input")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none")
	fs.BoolVar(&f.nagios, "nagios", false, "it is a monitoring plugin: exit 0 to 3 is OK, WARNING, CRITICAL, UNKNOWN; perfdata are fields")
	fs.StringVar(&f.outputSize, "body-limit", "1MiB", "a command that writes more fails as too_large, or is cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut longer output and mark it, let the command go on")
}

func (p *Program) runExecCommand() *cobra.Command {
	r, f := &request{}, &execFlags{}
	r.plan.usual = probe.DefaultCommandTimeout
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG]...",
		Short: "Run a local command for every target",
		Long: `Runs a command on this machine for every target. Its arguments may hold templates such as
{{.host}}, {{.port}}, {{.rack}}, and its environment holds MUSTER_TARGET, MUSTER_HOST,
MUSTER_PORT, MUSTER_ADDRESS, and MUSTER_LABEL_x and MUSTER_VAR_x per label and variable. No shell
is asked unless --shell says so. At most 4 commands per processor run at once; -f says
otherwise.

Exit status 0 is ok unless --expect says otherwise. What the command writes to standard output is
the body, to standard error the field stderr. At its --timeout, and when the run is
stopped, the command and all that it started in its process group are ended.

` + exitHelp,
		Example: `  muster run exec -w 'web[01-40]' -- ping -c1 '{{.host}}'
  muster run exec -w @hosts --env 'TOKEN={{secret "env:TOKEN"}}' -- ./rotate-key '{{.id}}'
  muster run exec -w 'db[1-9]' --nagios --expect 'perf.load1 < 4' -- check_by_ssh -H '{{.host}}' -C check_load
  muster run exec --each users.csv -w api --shell -- 'test -d /home/{{.user | sh}} && du -sk /home/{{.user | sh}}'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runExec(cmd.Context(), r, f, args) },
	}
	r.add(cmd, "Command", f.add)
	return cmd
}

func (p *Program) runExec(ctx context.Context, r *request, f *execFlags, args []string) error {
	spec, err := p.execSpec(f, args)
	if err != nil {
		return err
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "exec", With: with, Expect: r.expect})
}

func (p *Program) execSpec(f *execFlags, args []string) (*probe.Exec, error) {
	limit, err := parseBytes(f.outputSize)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	e := &probe.Exec{
		Command: args, Shell: f.shell, Dir: f.dir, Port: f.port, Nagios: f.nagios, BodyLimit: limit, Truncate: f.truncate,
	}
	if e.Env, err = parsePairs("--env", f.env); err != nil {
		return nil, err
	}
	if e.Stdin, e.StdinFile, err = p.stdinOf(f.stdin); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, usageError{err}
	}
	p.hidePairs(e.Env)
	return e, nil
}

// stdinOf reads TEXT, @FILE or @-.
func (p *Program) stdinOf(given string) (text, file string, err error) {
	switch {
	case given == "@-":
		b, err := io.ReadAll(p.In)
		if err != nil {
			return "", "", fmt.Errorf("--stdin @-: %w", err)
		}
		return string(b), "", nil
	case len(given) > 1 && given[0] == '@':
		return "", given[1:], nil
	}
	return given, "", nil
}
