//go:build linux

package dial_test

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/dial"
)

// spread gives each exchange an address of its own, so that local ports last.
func spread(ap netip.AddrPort, i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i) | 1}), ap.Port())
}

func BenchmarkDial(b *testing.B) {
	ap := drainAny(b)
	var d dial.Dialer
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		i++
		c, err := d.Dial(b.Context(), spread(ap, i))
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	reportCPU(b, before)
}

func BenchmarkOpen(b *testing.B) {
	ap := drainAny(b)
	var d dial.Dialer
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		i++
		fd, _, err := d.Open(spread(ap, i))
		if err != nil {
			b.Fatal(err)
		}
		d.Close(fd)
	}
	reportCPU(b, before)
}

func BenchmarkNetDialer(b *testing.B) {
	ap := drainAny(b)
	d := net.Dialer{KeepAlive: -1}
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		i++
		c, err := d.DialContext(b.Context(), "tcp", spread(ap, i).String())
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	reportCPU(b, before)
}

func BenchmarkNetDialTCP(b *testing.B) {
	ap := drainAny(b)
	d := net.Dialer{KeepAlive: -1}
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		i++
		c, err := d.DialTCP(b.Context(), "tcp", netip.AddrPort{}, spread(ap, i))
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	reportCPU(b, before)
}

// drainAny starts another process that accepts on all loopback addresses and closes connections
// without answering.
func drainAny(b *testing.B) netip.AddrPort {
	b.Helper()
	line, err := play(b, "acceptor").ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return netip.MustParseAddrPort(strings.TrimSpace(line))
}

// reportCPU adds the processor time of this process per operation.
func reportCPU(b *testing.B, before time.Duration) {
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

func BenchmarkResolveLiteral(b *testing.B) {
	var d dial.Dialer
	a := netip.MustParseAddr("10.1.2.3")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Resolve(b.Context(), "10.1.2.3", a, 80); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPolicy(b *testing.B) {
	a, a6 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::1")
	for _, n := range []int{0, 4, 5000} {
		var p dial.Policy
		for i := range n {
			p.Deny = append(p.Deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}), 24))
		}
		r := p.Compile()
		b.Run("v4/"+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r.Check(a) != nil {
					b.Fatal("denied")
				}
			}
		})
		b.Run("v6/"+strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if r.Check(a6) != nil {
					b.Fatal("denied")
				}
			}
		})
	}
}
