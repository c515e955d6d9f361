package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// udpFlags are the flags of one exchange of datagrams.
type udpFlags struct {
	data, hex, file, port, limit string
	replies                      int
	idle                         time.Duration
	truncate                     bool
	resend                       resendFlags
}

func (f *udpFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.data, "data", "d", "", `payload `+"`TEXT`"+` with the escapes \r \n \t \0 \\ \xNN and {{templates}}; '' is an empty datagram`)
	fs.StringVar(&f.hex, "hex", "", "payload in hexadecimal `DIGITS`: 'de ad be ef'")
	fs.StringVar(&f.file, "data-file", "", "payload from a `FILE` as it is; - is standard input")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none")
	fs.IntVar(&f.replies, "replies", 0, "wait for this many datagrams; fewer are not ok (default 1)")
	fs.DurationVar(&f.idle, "idle", 0, "take all datagrams until none has come for this long")
	f.resend.add(fs, "1; 3 with --repeat safe")
	fs.StringVar(&f.limit, "body-limit", "1MiB", "larger replies are too_large, or cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut larger replies and mark them")
}

func (p *Program) runUDPCommand() *cobra.Command {
	r, f := &request{}, &udpFlags{}
	cmd := &cobra.Command{
		Use:   "udp",
		Short: "Send a datagram to every target and take what comes back",
		Long: `Sends one UDP datagram to every target and waits for the reply. What comes back is the body; of
several datagrams each stands on a line of its own. Only datagrams from the address and port that
were asked are taken.

A reply is ok unless --expect says otherwise. A closed port is refused, silence is no_reply. The
datagram is sent once, because a target may act on it: --tries or --repeat safe send it again
while there is no reply.

` + exitHelp,
		Example: `  muster run udp -d 'ping\n' --port 9000 -w 10.0.0.0/24
  muster run udp --hex 'ff ff ff ff 54' -w game[1-4]:27015 --tries 3
  muster run udp -d 'id={{.id}}' -w @nodes --port 8125 --expect 'body matches "^ok"'
  muster run udp -d discover --port 1900 --idle 500ms -w 10.0.0.[1-40] --extract n=expr:replies`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("data") && f.hex == "" && f.file == "" {
				return usageError{fmt.Errorf("nothing to send: give -d TEXT, --hex DIGITS or --data-file FILE (-d '' sends an empty datagram)")}
			}
			return p.runUDP(cmd.Context(), r, f)
		},
	}
	r.add(cmd, "Datagram", f.add)
	return cmd
}

func (p *Program) runUDP(ctx context.Context, r *request, f *udpFlags) error {
	limit, err := parseBytes(f.limit)
	if err != nil {
		return usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	u := &probe.UDP{
		Port: f.port, Data: f.data, Hex: f.hex, Replies: f.replies, Idle: muster.Duration(f.idle),
		Tries: f.resend.tries, Wait: f.resend.first(), BodyLimit: limit, Truncate: f.truncate,
	}
	if f.file != "" {
		if u.Hex, err = p.frozenPayload(f); err != nil {
			return err
		}
	}
	if err := u.Validate(); err != nil {
		return usageError{err}
	}
	with, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "udp", With: with, Expect: r.expect})
}

// frozenPayload takes the payload from a file as it is now, so that a re-run sends the same.
func (p *Program) frozenPayload(f *udpFlags) (string, error) {
	if f.data != "" || f.hex != "" {
		return "", usageError{fmt.Errorf("-d, --hex and --data-file: give one of them")}
	}
	const most = 65507 // of one datagram
	in := p.In
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return "", usageError{fmt.Errorf("--data-file %s: %w", f.file, err)}
		}
		defer file.Close()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return "", fmt.Errorf("--data-file %s: %w", f.file, err)
	}
	if len(b) > most {
		return "", usageError{fmt.Errorf("--data-file %s: a datagram has at most %d bytes", f.file, most)}
	}
	return hex.EncodeToString(b), nil
}
