package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/sim"
)

// simFlags are the flags of muster sim.
type simFlags struct {
	fleet               sim.Fleet
	mix, body, versions string
	rules               []string
}

func (p *Program) simCommand() *cobra.Command {
	f := &simFlags{}
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run a simulated fleet on the loopback addresses",
		Long: `Runs a simulated fleet in one process: every address of 127.0.0.0/8 answers on the
listening port, as healthy, slow, failing or broken as its script says. What an address
does depends on the seed and the address alone. The admin endpoint counts what really
arrived: GET /stats, /hits, /hits.csv; POST /reset, /rules.

Without a listener of another service it serves plain HTTP on a free port. Behaviours
hold for every service, each in its own words: status:7 is an exit code over SSH.

Behaviours are written with a weight, and add up with +:

  ok  status:503  slow:50ms  slow:10ms-2s  slow:exp(100ms)  chunked  once  redirect:URL
  reset  hang  hang-body  drip  garbage  oversized:16M  endless  close-early
  close-before  conflict  flaky:0.3  warmup:2  version:2.5.0  slow:50ms+status:503

Where one shows may be said with reset, hang and close-before: hang:accept, hang:handshake
(TLS, SSH), hang:login (SSH); with reset also reset:body.

  TCP   a banner "220 ADDR muster-sim ready", then "OK ADDR LINE" to each line
  UDP   "ADDR PAYLOAD"; reset is ICMP port unreachable, conflict an answer from
        another address, flaky loses datagrams
  SSH   any user with a key or the password sim; true, false, exit N, echo, cat, env,
        hostname, sleep D, yes, stderr TEXT, kill SIGNAL, all else prints "ADDR: COMMAND";
        SFTP in memory; status:3 is an exit code, status:401 a refused login, conflict
        another host key
  DNS   records for every name but those below nxdomain and empty; status:5 is an
        rcode, chunked TC, conflict:id and conflict:question a wrong id or question
  gRPC  grpc.health.v1; status:2 is NOT_SERVING, status:14 UNAVAILABLE, conflict an
        answer in HTTP/1.1`,
		Example: `  muster sim --listen :8080
  muster sim --listen :8080 --mix 'ok*94,slow:200ms-2s*3,status:503*2,hang*1'
  muster sim --listen :8080 --rule '127.1.3.0/24=hang' --rule 'path=/slow=slow:1s'
  muster sim --tcp :7000 --udp :7001 --mix 'ok*9,hang*1'
  muster sim --ssh :2222 --known-hosts-out fleet.hosts --mix 'ok*9,status:3*1'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runSim(cmd.Context(), f) },
	}
	fs := cmd.Flags()
	fs.Uint64Var(&f.fleet.Seed, "seed", 0, "choose another fleet")
	fs.StringArrayVar(&f.fleet.Listen, "listen", nil, "plain HTTP `ADDRESS`: :8080 is that port on every loopback address (default a free port)")
	fs.StringArrayVar(&f.fleet.TLS, "tls", nil, "`ADDRESS` of HTTP over TLS in the same form")
	fs.StringArrayVar(&f.fleet.TCP, "tcp", nil, "`ADDRESS` of lines of text: a banner, then OK to each line")
	fs.StringArrayVar(&f.fleet.UDP, "udp", nil, "`ADDRESS` of an echo of datagrams")
	fs.StringArrayVar(&f.fleet.SSH, "ssh", nil, "`ADDRESS` of SSH: any user with a key or the password sim")
	fs.StringVar(&f.fleet.KnownHostsOut, "known-hosts-out", "", "write the host key of the SSH listeners to this `FILE`")
	fs.StringArrayVar(&f.fleet.DNS, "dns", nil, "`ADDRESS` of DNS, over UDP and TCP: every name resolves")
	fs.StringArrayVar(&f.fleet.GRPC, "grpc", nil, "`ADDRESS` of gRPC's health service")
	fs.StringArrayVar(&f.fleet.GRPCTLS, "grpc-tls", nil, "`ADDRESS` of gRPC's health service over TLS")
	fs.StringVar(&f.fleet.Admin, "admin", "", "`ADDRESS` of the admin endpoint (default a free loopback port)")
	fs.StringVar(&f.fleet.CAOut, "ca-out", "", "write the certificate authority of the TLS listeners to this `FILE`")
	fs.StringVar(&f.mix, "mix", "", "behaviours with their weights: `ok*95,status:503*5`")
	fs.StringArrayVar(&f.rules, "rule", nil, "what some addresses do: `127.1.3.0/24=hang`")
	fs.StringVar(&f.body, "body", "", "`TEMPLATE` of bodies: {{addr}} {{port}} {{n}} {{path}} {{version}} {{seed}} {{pad N}}")
	fs.StringVar(&f.versions, "versions", "", "versions with their weights: `2.4.1*90,2.4.0*9`")
	fs.BoolVar(&f.fleet.NoKeepAlive, "no-keep-alive", false, "close every connection after one answer")
	fs.IntVar(&f.fleet.Loops, "loops", 0, "event loops (0: half the processors)")
	return cmd
}

func (f *simFlags) build() (*sim.Fleet, error) {
	var err error
	parse := func(flag, text string, set func(string) error) {
		if err == nil && text != "" {
			if e := set(text); e != nil {
				err = usageError{fmt.Errorf("--%s %q: %w", flag, text, e)}
			}
		}
	}
	parse("mix", f.mix, func(s string) error { return f.fleet.Mix.UnmarshalText([]byte(s)) })
	parse("body", f.body, func(s string) error { return f.fleet.Body.UnmarshalText([]byte(s)) })
	parse("versions", f.versions, func(s string) error { return f.fleet.Versions.UnmarshalText([]byte(s)) })
	for _, text := range f.rules {
		parse("rule", text, func(s string) error {
			r, err := sim.ParseRule(s)
			f.fleet.Rules = append(f.fleet.Rules, r)
			return err
		})
	}
	return &f.fleet, err
}

func (p *Program) runSim(ctx context.Context, f *simFlags) error {
	fleet, err := f.build()
	if err != nil {
		return err
	}
	fleet.OnReady = func(s *sim.Server) {
		for _, service := range s.Services() {
			for _, a := range s.ServiceAddrs(service) {
				fmt.Fprintf(p.Out, "listening on %s (%s)\n", a, service)
			}
		}
		fmt.Fprintf(p.Out, "admin %s\n", s.AdminURL())
	}
	ctx, stop := p.untilInterrupted(ctx)
	defer stop()
	begun := time.Now()
	if err := fleet.Run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(p.Err, "stopped after %v\n", time.Since(begun).Round(time.Second))
	return nil
}
