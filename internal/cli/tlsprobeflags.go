package cli

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func (p *Program) runTLSCommand() *cobra.Command {
	r, f := &request{}, &handshakeFlags{}
	cmd := &cobra.Command{
		Use:   "tls",
		Short: "Shake hands over TLS with every target, and look at its certificate",
		Long: `Does one TLS handshake with every target and closes the connection. The certificate is verified;
one that does not hold is a failure of kind tls whose reason says why (with -k it is only told).
Conditions and rules may use the fields

  version cipher curve alpn verified verify_error client_cert_requested ocsp_stapled
  cert.subject cert.issuer cert.names cert.serial cert.sha256 cert.not_before cert.not_after
  cert.days_left cert.key cert.sig cert.self_signed chain.length chain.days_left

` + exitHelp,
		Example: `  muster run tls -w 'web[01-40]' --expect 'cert.days_left > 30'
  muster run tls -w 10.0.0.0/20 -k --extract days=expr:cert.days_left --group-by days
  muster run tls -w www.example.com,api.example.com:8443 --alpn h2,http/1.1 --jsonl
  muster run tls -w @mail --starttls smtp --expect 'version == "TLS 1.3"'
  muster run tls -w old.example.com --tls-min 1.0 --tls-max 1.1 --no-pq`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runTLS(cmd.Context(), r, f) },
	}
	r.add(cmd, "TLS handshake", f.add)
	return cmd
}

func (p *Program) runTLS(ctx context.Context, r *request, f *handshakeFlags) error {
	spec := f.spec()
	if err := spec.Validate(); err != nil {
		return usageError{err}
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "tls", With: with, Expect: r.expect})
}

// handshakeFlags are the flags of one TLS handshake.
type handshakeFlags struct {
	port, starttls, max, alpn string
	noPQ, chain               bool
	tls                       tlsFlags
}

func (f *handshakeFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none (default 443, or the usual one of --starttls)")
	fs.StringVar(&f.starttls, "starttls", "", "upgrade first: `ftp|imap|ldap|mysql|pop3|postgres|smtp|xmpp`")
	f.tls.add(fs)
	fs.StringVar(&f.max, "tls-max", "", "highest `VERSION` (default the highest there is)")
	fs.StringVar(&f.alpn, "alpn", "", "offer these `PROTOCOLS`: h2,http/1.1")
	fs.BoolVar(&f.noPQ, "no-pq", false, "offer no post-quantum key exchange")
	fs.BoolVar(&f.chain, "chain", false, "make the body the certificates that were sent, in PEM form")
}

func (f *handshakeFlags) spec() *probe.Handshake {
	h := &probe.Handshake{Port: f.port, StartTLS: f.starttls, TLS: f.tls.options(), MaxVersion: f.max, NoPQ: f.noPQ, Chain: f.chain}
	if f.alpn != "" {
		h.ALPN = strings.Split(f.alpn, ",")
	}
	return h
}
