package probe

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/musterhq/muster"
)

// datagramServer answers every datagram until the test ends.
func datagramServer(t testing.TB, handle func(pc net.PacketConn, from net.Addr, b []byte)) muster.Target {
	t.Helper()
	return datagramServerAt(t, "127.0.0.1:0", handle)
}

func datagramServerAt(t testing.TB, addr string, handle func(pc net.PacketConn, from net.Addr, b []byte)) muster.Target {
	t.Helper()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			handle(pc, from, buf[:n])
		}
	})
	t.Cleanup(func() {
		pc.Close()
		wg.Wait()
	})
	return targetAt(pc.LocalAddr())
}

// closedPort is a target whose port nobody listens on.
func closedPort(t testing.TB) muster.Target {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	return targetAt(pc.LocalAddr())
}

// datagramPath is one of the ways in which an exchange of datagrams is driven.
type datagramPath struct {
	name  string
	probe func(ctx context.Context, p muster.Prober, t muster.Target) muster.Result
}

func datagramPaths() []datagramPath {
	return append(packetPaths(), datagramPath{"goroutine", func(ctx context.Context, p muster.Prober, t muster.Target) muster.Result {
		return p.Probe(ctx, t)
	}})
}

// proberOf compiles a spec.
func proberOf(t testing.TB, s Spec, env Env) muster.Prober {
	t.Helper()
	p, err := s.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fieldOf(r *muster.Result, name string) any {
	v, _ := r.Field(name)
	return v
}
