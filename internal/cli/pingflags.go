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

// pingFlags are the flags of echo requests; their meanings are fping's.
type pingFlags struct {
	count, tries, size, ttl int
	interval, wait          time.Duration
	backoff                 float64
	df                      bool
}

func (f *pingFlags) add(fs *pflag.FlagSet) {
	fs.IntVarP(&f.count, "count", "c", 0, "send `N` echo requests whatever comes back, and report the loss")
	fs.DurationVar(&f.interval, "interval", 0, fmt.Sprintf("with -c: time from one to the next (default %v)", probe.DefaultPingInterval))
	fs.DurationVar(&f.wait, "wait", probe.DefaultPingWait, "how long a reply may take")
	fs.IntVar(&f.tries, "tries", probe.DefaultPingTries, "without -c: send up to `N` times until a reply comes")
	fs.Float64Var(&f.backoff, "wait-factor", probe.DefaultPingBackoff, "without -c: each try waits `F` times as long as the one before")
	fs.IntVar(&f.size, "size", probe.DefaultPingSize, "bytes of payload, 8 to 65507")
	fs.IntVar(&f.ttl, "ttl", 0, "time to live, 1 to 255 (default the system's)")
	fs.BoolVar(&f.df, "df", false, "forbid fragmentation")
}

func (p *Program) runPingCommand() *cobra.Command {
	r, f := &request{}, &pingFlags{}
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Ping every target",
		Long: `Sends ICMP echo requests to every target, over one socket for all of them. A target that
answers is ok; one that does not is asked again, up to --tries times, and then is no_reply.
Its fields are rtt (milliseconds), ttl and sent, the number of requests that it took.

With -c every request is sent once, whatever comes back, and the fields are sent, received,
loss (percent), min, avg, max, stddev (milliseconds) and ttl. --expect may ask for them. The
time of a result is the round trip, the mean of several, plus the lookup of a name.

It needs the right to send ICMP: root, 'setcap cap_net_raw+ep' on the program, or a group
within the sysctl net.ipv4.ping_group_range.

` + exitHelp,
		Example: `  muster run ping -w 10.0.0.0/16 --display failed
  muster run ping -w 'web[01-40]' --tries 2 --wait 200ms
  muster run ping -g all -c 10 --interval 200ms --expect 'loss == 0 && avg < 5'
  muster run ping -w 192.0.2.0/24 --size 1472 --df
  muster run ping -w @last:no_reply --tries 10 --wait 2s`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runPing(cmd.Context(), r, f, cmd.Flags())
		},
	}
	r.add(cmd, "Echo requests", f.add)
	return cmd
}

func (p *Program) runPing(ctx context.Context, r *request, f *pingFlags, given *pflag.FlagSet) error {
	spec, err := f.spec(given)
	if err != nil {
		return err
	}
	if !given.Changed("timeout") {
		r.plan.timeout = 0 // long enough for all requests, as the probe itself says
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "ping", With: with, Expect: r.expect})
}

// spec compiles the flags. What is not given stays out of it.
func (f *pingFlags) spec(given *pflag.FlagSet) (*probe.Ping, error) {
	s := &probe.Ping{
		Count: f.count, Interval: muster.Duration(f.interval), Wait: muster.Duration(f.wait),
		Size: f.size, TTL: f.ttl, DontFragment: f.df,
	}
	if f.backoff < 1 || f.backoff > 10 {
		return nil, usageError{fmt.Errorf("--wait-factor %v: want 1 to 10", f.backoff)}
	}
	for name, ok := range map[string]bool{"count": f.count > 0, "wait": f.wait > 0, "tries": f.tries > 0, "interval": f.interval > 0, "ttl": f.ttl > 0} {
		if given.Changed(name) && !ok {
			return nil, usageError{fmt.Errorf("--%s %s: want more than 0", name, given.Lookup(name).Value)}
		}
	}
	for _, name := range []string{"tries", "wait-factor"} {
		if s.Count > 0 && given.Changed(name) {
			return nil, usageError{fmt.Errorf("--%s and --count: with a count every echo request is sent once; give one of them", name)}
		}
	}
	if s.Count == 0 && given.Changed("interval") {
		return nil, usageError{fmt.Errorf("--interval: it is the time between the requests of --count N; give that too, or --wait for the time between tries")}
	}
	if s.Count == 0 {
		s.Tries, s.Backoff = f.tries, f.backoff
	}
	if err := s.Validate(); err != nil {
		return nil, usageError{err}
	}
	return s, nil
}
