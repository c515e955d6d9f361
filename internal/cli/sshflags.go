package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func (p *Program) runSSHCommand() *cobra.Command {
	r, f := &request{}, &sshFlags{}
	r.plan.usual = probe.DefaultSSHTimeout
	cmd := &cobra.Command{
		Use:   "ssh [flags] -- COMMAND [ARG]...",
		Short: "Run a command on every target over SSH",
		Long: `Logs in to every target over SSH and runs one command. It is a template of the target's
variables, as are the values of --env; words are joined by spaces, as ssh does. --script brings a
local file along, runs it and removes it. The body is standard output; standard error is the
field stderr.

Exit status 0 is ok, another one is unexpected with the reason "exit N", unless --expect says
otherwise (status is the exit status). A command that a signal ends has failed: exit. When an
attempt times out or the run is interrupted, the remote process gets SIGTERM, then SIGKILL.

Hosts, users, keys and jump hosts are those of your ssh configuration unless flags say otherwise.
Host keys are verified: see --host-key. Connections to jump hosts are shared.

` + exitHelp,
		Example: `  muster run ssh -w 'web[01-40]' -b -- uptime
  muster run ssh -w @db --user admin --jump bastion --expect 'status == 0 && body contains "in sync"' -- pg_status
  muster run ssh -w 10.0.0.0/20 --host-key tofu -f 200 --group-by k --extract 'k=re:(.+)' -- uname -r
  muster run ssh -w @last:failed --canary 1 --max-errors 5 -- systemctl restart app
  muster run ssh -w @web --sudo --ask-sudo-pass --script ./patch.sh -- --reboot {{.window}}
  muster run ssh --hostfile hosts.csv --env 'SHARD={{.shard}}' -- ./reindex --shard {{.shard}}`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runSSH(cmd.Context(), r, f, args) },
	}
	r.add(cmd, "Login and command", f.add)
	return cmd
}

func (p *Program) runSSH(ctx context.Context, r *request, f *sshFlags, args []string) error {
	spec, err := p.sshSpec(f, args)
	if err != nil {
		return err
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "ssh", With: with, Expect: r.expect})
}

// sshFlags are the flags of one command.
type sshFlags struct {
	login            sshLoginFlags
	env              []string
	stdin, bodyLimit string
	script           string
	sudo, sudoPass   string
	askSudoPass      bool
	pty, truncate    bool
	raw              bool
}

func (f *sshFlags) add(fs *pflag.FlagSet) {
	f.login.add(fs)
	fs.StringVar(&f.script, "script", "", "bring this `FILE` along and run it, with what follows -- as its arguments")
	fs.StringVar(&f.sudo, "sudo", "", "run it with sudo, as this `USER` (--sudo alone: root)")
	fs.Lookup("sudo").NoOptDefVal = "root"
	fs.BoolVar(&f.askSudoPass, "ask-sudo-pass", false, "ask for the password that sudo wants")
	fs.StringVar(&f.sudoPass, "sudo-pass", "", "that password: `env:VAR` or file:PATH")
	fs.BoolVar(&f.raw, "raw", false, "send the command as it is: {{ is no template")
	fs.StringArrayVar(&f.env, "env", nil, "variable of the command's environment: `NAME=VALUE`")
	fs.BoolVar(&f.pty, "pty", false, "give the command a terminal")
	fs.StringVar(&f.stdin, "stdin", "", "standard input from this `FILE` (default: empty)")
	fs.StringVar(&f.bodyLimit, "body-limit", "1MiB", "a command that prints more is too_large and ended, or cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut larger outputs and mark them")
}

// sshSpec compiles the flags and the command into the probe's parameters.
func (p *Program) sshSpec(f *sshFlags, args []string) (*probe.SSH, error) {
	if len(args) == 0 && f.script == "" {
		return nil, usageError{fmt.Errorf("which command? as in: muster run ssh -w 'web[01-40]' -- uptime")}
	}
	limit, err := parseBytes(f.bodyLimit)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	s := &probe.SSH{
		Raw: f.raw, Script: f.script, PTY: f.pty, Stdin: f.stdin, BodyLimit: limit, Truncate: f.truncate, Sudo: probe.Sudo{User: f.sudo},
	}
	if words := strings.Join(args, " "); f.script != "" {
		s.Args = words
	} else {
		s.Command = words
	}
	if s.Sudo.Password, err = askOr("sudo-pass", f.askSudoPass, f.sudoPass, "sudo password"); err != nil {
		return nil, err
	}
	if s.SSHLogin, err = p.sshLogin(&f.login); err != nil {
		return nil, err
	}
	if s.Env, err = parsePairs("--env", f.env); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, usageError{err}
	}
	p.hidePairs(s.Env)
	return s, nil
}
