package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func (p *Program) copyCommand() *cobra.Command {
	r, f := &request{}, &copyFlags{}
	r.plan.usual = probe.DefaultSSHTimeout
	cmd := &cobra.Command{
		Use:   "copy [flags] SRC... DST",
		Short: "Copy files to every target over SSH, or back with --fetch",
		Long: `Copies files and folders to every target over SFTP. DST is a path on the target and a
template of its variables: the place of the one SRC, or when it ends in / or there are
several the folder to put them into. Relative paths are below the home of the user. Each
file is written beside its place and then renamed, so that nobody sees half of it; missing
folders are made. The local files are read once, before anything is sent.

With --fetch, SRC are paths on the target, and templates; what comes back lands in the local
folder DST, under the target's id and the path it had: DST/web1/etc/hosts.

The body has the SHA-256 and the path of each file, so -b groups the targets whose files
are the same; the fields are bytes, files, skipped and sha256. What the target refuses is
unexpected ("permission denied", "no space left"). Logins are those of muster run ssh.

` + exitHelp,
		Example: `  muster copy app.conf /etc/app/app.conf -w 'web[01-40]' --user root
  muster copy --preserve dist/ /opt/app/releases/{{.release}} --hostfile hosts.csv --canary 1
  muster copy a.sh b.sh bin/ -w @db --jump bastion
  muster copy --fetch /etc/resolv.conf /var/log/boot.log collected -w 'web[01-40]' -b`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCopy(cmd.Context(), r, f, args) },
	}
	r.add(cmd, "Login and files", f.add)
	return cmd
}

func (p *Program) runCopy(ctx context.Context, r *request, f *copyFlags, args []string) error {
	spec, err := p.copySpec(f, args)
	if err != nil {
		return err
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "copy", With: with, Expect: r.expect})
}

// copyFlags are the flags of one copy.
type copyFlags struct {
	login           sshLoginFlags
	fetch, preserve bool
	limit           string
}

func (f *copyFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.fetch, "fetch", false, "copy from the targets into the local folder DST")
	fs.BoolVar(&f.preserve, "preserve", false, "keep permissions and times (default: the permissions, less writing by others)")
	fs.StringVar(&f.limit, "size-limit", "", "most `BYTES` that is fetched from one target; more is too_large (default 1GiB)")
	f.login.add(fs)
}

// copySpec compiles the flags and paths into the probe's parameters.
func (p *Program) copySpec(f *copyFlags, args []string) (*probe.Copy, error) {
	if len(args) < 2 {
		return nil, usageError{errors.New("what, and where to? as in: muster copy app.conf /etc/app/ -w 'web[01-40]'")}
	}
	s := &probe.Copy{Sources: args[:len(args)-1], Dest: args[len(args)-1], Fetch: f.fetch, Preserve: f.preserve}
	var err error
	if f.limit != "" {
		if !f.fetch {
			return nil, usageError{errors.New("--size-limit is for what --fetch fetches")}
		}
		if s.SizeLimit, err = parseBytes(f.limit); err != nil {
			return nil, usageError{fmt.Errorf("--size-limit: %w", err)}
		}
	}
	if s.SSHLogin, err = p.sshLogin(&f.login); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, usageError{err}
	}
	return s, nil
}
