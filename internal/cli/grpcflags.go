package cli

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// grpcFlags are the flags of one health check.
type grpcFlags struct {
	service, port, authority string
	metadata                 []string
	secure                   bool
	tls                      tlsFlags
}

func (f *grpcFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.service, "service", "", "ask for this service: `NAME`, a template (default the server as a whole)")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none")
	fs.StringArrayVarP(&f.metadata, "metadata", "H", nil, "send this along: `'NAME: VALUE'`, a template")
	fs.StringVar(&f.authority, "authority", "", "`NAME` to ask for in place of host and port")
	fs.BoolVar(&f.secure, "tls", false, "speak TLS")
	f.tls.add(fs)
}

func (p *Program) runGRPCCommand() *cobra.Command {
	r, f := &request{}, &grpcFlags{}
	cmd := &cobra.Command{
		Use:   "grpc",
		Short: "Ask every target for its health over gRPC",
		Long: `Asks every target for its health by gRPC's standard protocol, grpc.health.v1.Health/Check.
SERVING is ok. Any other state is unexpected, and so is a call that ends with another status than
OK: NOT_FOUND for a service that the server does not know, UNIMPLEMENTED for a server that knows no
health checks. A peer that does not speak gRPC has failed: protocol.

` + exitHelp,
		Example: `  muster run grpc -w 'shop[01-40]:50051'
  muster run grpc -w @shops --port 443 --tls --service shop.Cart
  muster run grpc -w @shops --port 443 --tls --cacert ca.pem -H 'authorization: Bearer {{secret "env:TOKEN"}}'
  muster run grpc -w 10.0.0.0/20 --port 50051 --expect 'grpc_status == 12 || code == 1' -b`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runGRPC(cmd.Context(), r, f) },
	}
	r.add(cmd, "gRPC health check", f.add)
	return cmd
}

func (p *Program) runGRPC(ctx context.Context, r *request, f *grpcFlags) error {
	g := &probe.GRPC{Service: f.service, Port: f.port, Authority: f.authority, Secure: f.secure, TLS: f.tls.options()}
	for _, text := range f.metadata {
		m, err := probe.ParseHeader(text)
		if err != nil {
			return usageError{err}
		}
		g.Metadata = append(g.Metadata, probe.Pair{Name: m.Name, Value: m.Value})
	}
	if err := g.Validate(); err != nil {
		return usageError{err}
	}
	for i := range g.Metadata {
		if m := &g.Metadata[i]; sensitive.MatchString(m.Name) {
			m.Value = p.reference(m.Name, m.Value)
		}
	}
	with, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return p.run(ctx, r, "", muster.Action{Probe: "grpc", With: with, Expect: r.expect})
}
