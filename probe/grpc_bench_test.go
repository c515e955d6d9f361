package probe

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// BenchmarkGRPC compares one check over a connection of its own with what grpc-go's client needs for it; the time
// holds the server's share, which is the same.
func BenchmarkGRPC(b *testing.B) {
	target := serveGRPC(b, nil)
	b.Run("muster", func(b *testing.B) {
		p := grpcProbe(b, GRPC{}, Env{})
		b.ReportAllocs()
		for b.Loop() {
			if r := p.Probe(b.Context(), target); r.Outcome != muster.OK {
				b.Fatal(r.Detail)
			}
		}
	})
	b.Run("grpc-go", func(b *testing.B) {
		var d dial.Dialer
		b.ReportAllocs()
		for b.Loop() {
			c, err := grpc.NewClient("passthrough:///"+target.ID, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := healthpb.NewHealthClient(c).Check(b.Context(), new(healthpb.HealthCheckRequest)); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}
