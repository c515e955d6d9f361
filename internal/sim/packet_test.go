//go:build linux

package sim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// receive reads datagrams and where they came from until count have come, or none does for a moment.
func receive(t testing.TB, c *net.UDPConn, count int) (got []string) {
	t.Helper()
	b := make([]byte, maxPacket+1)
	for len(got) < count {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, from.Addr().Unmap().String()+" "+string(b[:n]))
	}
	return got
}

// send sends a datagram to an address from a socket that takes answers from anywhere.
func send(t testing.TB, s *Server, ip, payload string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	to := netip.AddrPortFrom(netip.MustParseAddr(ip), s.ServiceAddr(UDP).Port())
	if _, err := c.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEchoOfDatagrams(t *testing.T) {
	t.Parallel()
	const good = "127.5.6.7 127.5.6.7 ping"
	cases := map[string][]string{
		"ok":               {good},
		"slow:20ms":        {good},
		"status:503":       {"127.5.6.7 503 127.5.6.7 ping"},
		"close-early":      {"127.5.6.7 127.5.6"},
		"chunked":          {"127.5.6.7 127.5.6", "127.5.6.7 .7 ping"},
		"conflict":         {"127.5.6.6 127.5.6.7 ping"},
		"conflict:chunked": {"127.5.6.6 127.5.6.7 ping", good},
		"oversized:20":     {good + string(fillerBody[:6])},
		"hang":             nil,
		"close-before":     nil,
		"warmup:1":         nil,
		"flaky:1":          nil,
		"flaky:0":          {good},
	}
	for behaviour, want := range cases {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			s := serviceOf(t, UDP, behaviour)
			c := send(t, s, "127.5.6.7", "ping")
			if len(want) == 0 {
				eventually(t, s, "a request", func(st Stats) bool { return st.Requests == 1 })
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			}
			if got := receive(t, c, max(1, len(want))); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestManyDatagramsInAnswer(t *testing.T) {
	t.Parallel()
	c := send(t, serviceOf(t, UDP, "drip:1ms"), "127.5.6.7", "ping")
	if got := receive(t, c, 14); strings.ReplaceAll(strings.Join(got, ""), "127.5.6.7 ", "") != "127.5.6.7 ping" {
		t.Errorf("got %q", got)
	}
	c = send(t, serviceOf(t, UDP, "endless"), "127.5.6.7", "ping")
	if got := receive(t, c, 100); len(slices.Compact(got)) != 1 {
		t.Errorf("got %q", slices.Compact(got))
	}
	c = send(t, serviceOf(t, UDP, "oversized:1M"), "127.5.6.7", "ping")
	if got := receive(t, c, 1); len(got[0]) != maxPacket+len("127.5.6.7 ") {
		t.Errorf("%d bytes", len(got[0]))
	}
	c = send(t, serviceOf(t, UDP, "garbage:70k"), "127.5.6.7", "ping")
	if got := receive(t, c, 1); len(got[0]) != maxPacket+len("127.5.6.7 ") {
		t.Errorf("%d bytes", len(got[0]))
	}
}

// An address that refuses says so to a connected socket.
func TestRefusedDatagram(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a raw socket needs root")
	}
	c := reach(t, serviceOf(t, UDP, "reset"), UDP, "127.5.6.7")
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want connection refused", err)
	}
}

// Many clients at once get each their own answer, and every datagram is counted.
func TestDatagramsOfManyAddresses(t *testing.T) {
	t.Parallel()
	const addresses = 500
	s := start(t, &Fleet{UDP: []string{":0", "[::1]:0"}, Loops: 2})
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	port, seen := s.ServiceAddr(UDP).Port(), map[string]bool{}
	b := make([]byte, 100)
	for i := range addresses {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 7, byte(i / 250), byte(1 + i%250)}), port)
		if _, err := c.WriteToUDPAddrPort(fmt.Append(nil, i), addr); err != nil {
			t.Fatal(err)
		}
		if i%50 != 49 {
			continue // fifty at once
		}
		for range 50 {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil || !strings.HasPrefix(string(b[:n]), from.Addr().String()+" ") || seen[string(b[:n])] {
				t.Fatalf("%q from %v, %v", b[:n], from, err)
			}
			seen[string(b[:n])] = true
		}
	}
	if st := s.Stats(); st.Requests != addresses || st.DistinctAddresses != addresses || st.BytesSent == 0 || st.MaxHitsPerAddress != 1 {
		t.Errorf("stats: %+v", st)
	}
	six := s.ServiceAddrs(UDP)[1]
	d, err := net.Dial("udp", six.String())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write([]byte("six")); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Read(b); err != nil || string(b[:n]) != "::1 six" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// BenchmarkDatagrams tells what the fleet spends on an exchange, 32 of them at a time.
func BenchmarkDatagrams(b *testing.B) {
	s := start(b, &Fleet{UDP: []string{":0"}, Loops: 1})
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s.Reset()
	buf, payload := make([]byte, 100), []byte("ping")
	for i := 0; i < b.N; i += 32 {
		for k := range 32 {
			ip := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(1 + i + k)})
			if _, err := c.WriteToUDPAddrPort(payload, netip.AddrPortFrom(ip, s.ServiceAddr(UDP).Port())); err != nil {
				b.Fatal(err)
			}
		}
		for range 32 {
			if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(s.Stats().CPUSeconds*1e6/float64(b.N), "fleet-us/op")
}
