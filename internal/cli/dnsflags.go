package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// dnsFlags are the flags of one question to name servers.
type dnsFlags struct {
	port, class, rcode, answer          string
	tcp, tls, noTCP                     bool
	noRecurse, noEDNS, dnssec, cd, nsid bool
	sections                            bool
	udpSize                             int
	insecure                            bool
	cacert, cert, key, serverName       string
	resend                              resendFlags
}

func (f *dnsFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none (default 53, with --tls 853)")
	fs.BoolVar(&f.tcp, "tcp", false, "ask over TCP")
	fs.BoolVar(&f.tls, "tls", false, "ask over TLS (DoT)")
	fs.StringVar(&f.rcode, "rcode", "", "only these answers are ok: `NOERROR|NXDOMAIN|…`, several with commas")
	fs.StringVar(&f.answer, "answer", "", "only answers whose data match this `REGEXP` are ok; several records are joined by blanks")
	fs.BoolVar(&f.noRecurse, "no-recurse", false, "do not have the server ask others")
	fs.BoolVar(&f.sections, "sections", false, "keep the authority and additional records as well")
	fs.BoolVar(&f.dnssec, "dnssec", false, "ask for signatures (DO)")
	fs.BoolVar(&f.cd, "no-check", false, "answer without validation (CD)")
	fs.BoolVar(&f.nsid, "nsid", false, "ask for the server's own name, the field nsid")
	fs.StringVar(&f.class, "class", "", "`CLASS`: IN, CH or HS (default IN)")
	fs.BoolVar(&f.noTCP, "no-tcp", false, "take a truncated answer, do not ask again over TCP")
	fs.BoolVar(&f.noEDNS, "no-edns", false, "ask without EDNS")
	fs.IntVar(&f.udpSize, "udp-size", 0, "largest answer over UDP in `BYTES` (default 1232)")
	f.resend.add(fs, "3")
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "with --tls: do not verify the server's certificate")
	fs.StringVar(&f.cacert, "cacert", "", "with --tls: verify the server with the authorities in this `FILE`")
	fs.StringVarP(&f.cert, "cert", "E", "", "with --tls: client certificate `FILE` (PEM)")
	fs.StringVar(&f.key, "key", "", "with --tls: its private key `FILE` (PEM)")
	fs.StringVar(&f.serverName, "server-name", "", "with --tls: name for SNI and verification (default: the target's)")
}

func (p *Program) runDNSCommand() *cobra.Command {
	r, f := &request{}, &dnsFlags{}
	cmd := &cobra.Command{
		Use:   "dns NAME [TYPE]",
		Short: "Ask every target, a name server, one question",
		Long: `Asks every target, which is a name server, for the records of a name. The records of the answer
are the body; rcode, answers, authority, additional, aa, tc, ra, ad, min_ttl and answer (the data alone,
sorted) are fields, and so is serial of type SOA. A truncated answer is asked for again over TCP.

Any answer is ok, NXDOMAIN included, unless --rcode, --answer or --expect say otherwise. Silence is
no_reply; datagrams that are no answer to the question never count as one.

` + exitHelp,
		Example: `  muster run dns www.example.com -w 10.0.0.[1-40] --group-by answer
  muster run dns example.com SOA -w ns[1-4].example.com --no-recurse --group-by serial
  muster run dns www.example.com AAAA -w @resolvers --rcode NOERROR --answer '^2001:db8:'
  muster run dns example.com MX -w 9.9.9.9 --tls --expect 'ad && min_ttl > 60'
  muster run dns '{{.domain}}' --each domains.csv -w 127.0.0.1:53`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return fmt.Errorf("want the name to ask for, and perhaps a type: www.example.com AAAA")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runDNS(cmd.Context(), r, f, args)
		},
	}
	r.add(cmd, "Question", f.add)
	return cmd
}

func (p *Program) runDNS(ctx context.Context, r *request, f *dnsFlags, args []string) error {
	d := &probe.DNS{
		Name: args[0], Class: f.class, Port: f.port, NoTCP: f.noTCP, NoRecurse: f.noRecurse, NoEDNS: f.noEDNS, UDPSize: f.udpSize,
		DNSSEC: f.dnssec, NoCheck: f.cd, NSID: f.nsid, Sections: f.sections, Tries: f.resend.tries, Wait: f.resend.first(),
		TLS: probe.TLS{CA: f.cacert, Cert: f.cert, Key: f.key, ServerName: f.serverName, Insecure: f.insecure},
	}
	if len(args) == 2 {
		d.Type = strings.ToUpper(args[1])
	}
	switch {
	case f.tcp && f.tls:
		return usageError{fmt.Errorf("--tcp and --tls: choose one")}
	case f.tcp:
		d.Transport = "tcp"
	case f.tls:
		d.Transport = "tls"
	}
	if err := d.Validate(); err != nil {
		return usageError{err}
	}
	expect, err := f.expect(r.expect)
	if err != nil {
		return err
	}
	with, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "dns", With: with, Expect: expect})
}

// expect joins the condition of --expect with what --rcode and --answer stand for.
func (f *dnsFlags) expect(condition string) (string, error) {
	var all []string
	if f.rcode != "" {
		var codes []string
		for text := range strings.SplitSeq(f.rcode, ",") {
			code, err := probe.ParseRcode(text)
			if err != nil {
				return "", usageError{err}
			}
			codes = append(codes, strconv.Quote(code))
		}
		if all = append(all, "rcode == "+codes[0]); len(codes) > 1 {
			all[0] = "rcode in [" + strings.Join(codes, ", ") + "]"
		}
	}
	if f.answer != "" {
		if _, err := regexp.Compile(f.answer); err != nil {
			return "", usageError{fmt.Errorf("--answer: %w", err)}
		}
		all = append(all, "answer matches "+strconv.Quote(f.answer))
	}
	if condition != "" {
		if len(all) > 0 {
			condition = "(" + condition + ")"
		}
		all = append(all, condition)
	}
	return strings.Join(all, " && "), nil
}
