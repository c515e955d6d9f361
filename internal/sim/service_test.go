package sim

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceOf is a fleet of one service whose every address does one thing.
func serviceOf(t testing.TB, service Service, behaviour string) *Server {
	t.Helper()
	mix, err := ParseMix(behaviour)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Mix: mix}
	*map[Service]*[]string{TCP: &f.TCP, UDP: &f.UDP, SSH: &f.SSH, DNS: &f.DNS, GRPC: &f.GRPC, GRPCTLS: &f.GRPCTLS}[service] = []string{":0"}
	return start(t, f)
}

func at(s *Server, service Service, ip string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), s.ServiceAddr(service).Port()).String()
}

// reach connects to an address of a service, until the test ends.
func reach(t testing.TB, s *Server, service Service, ip string) net.Conn {
	t.Helper()
	network := "tcp"
	if service == UDP {
		network = "udp"
	}
	c, err := net.Dial(network, at(s, service, ip))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// talk reads the banner, sends two lines and reads to the end.
func talk(t testing.TB, behaviour string) (banner, rest string, err error) {
	s := serviceOf(t, TCP, behaviour)
	c, err := net.Dial("tcp", at(s, TCP, "127.5.6.7"))
	if err != nil {
		return "", "", err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReaderSize(c, 1<<20)
	if banner, err = r.ReadString('\n'); err != nil {
		return banner, "", err
	}
	if _, err = io.WriteString(c, "one\r\ntwo\nQUIT\r\n"); err != nil {
		return banner, "", err
	}
	b, err := io.ReadAll(r)
	return banner, string(b), err
}

func TestLines(t *testing.T) {
	t.Parallel()
	const hello, bye = "220 127.5.6.7 muster-sim ready\r\n", "221 127.5.6.7 bye\r\n"
	const both = "OK 127.5.6.7 one\r\nOK 127.5.6.7 two\r\n" + bye
	cases := map[string]struct {
		banner, rest string
		err          error
	}{
		"ok":            {hello, both, nil},
		"slow:20ms":     {hello, both, nil},
		"drip:1ms":      {hello, both, nil},
		"redirect":      {hello, both, nil},
		"status:554":    {"554 127.5.6.7 muster-sim ready\r\n", "554 127.5.6.7 one\r\n554 127.5.6.7 two\r\n" + bye, nil},
		"warmup(1,421)": {hello, "421 127.5.6.7 one\r\nOK 127.5.6.7 two\r\n" + bye, nil},
		"flaky(1,421)":  {hello, "421 127.5.6.7 one\r\n421 127.5.6.7 two\r\n" + bye, nil},
		"once":          {hello, "OK 127.5.6.7 one\r\n", syscall.ECONNRESET},
		"reset":         {hello, "", syscall.ECONNRESET},
		"reset:accept":  {"", "", syscall.ECONNRESET},
		"reset:body":    {"220 127.5.6.7 mu", "", syscall.ECONNRESET},
		"close-early":   {"220 127.5.6.7 mu", "", io.EOF},
		"close-before":  {hello, "", syscall.ECONNRESET}, // lines that nobody read make the FIN a reset
		"oversized:96":  {hello, string(fillerBody[:96]) + both, nil},
	}
	for behaviour, want := range cases {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			banner, rest, err := talk(t, behaviour)
			if errors.Is(err, syscall.ECONNRESET) && (want.err == nil || errors.Is(want.err, io.EOF)) || err == nil && want.err == io.EOF {
				t.Errorf("error %v, want %v", err, want.err)
			}
			reset := errors.Is(err, syscall.ECONNRESET) // which may overtake what was sent before it
			if (banner != want.banner || rest != want.rest) && !(reset && strings.HasPrefix(want.banner, banner)) {
				t.Errorf("got %q, then %q (%v)", banner, rest, err)
			}
		})
	}
}

func TestLinesThatNeverCome(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"hang":        "220 127.5.6.7 muster-sim ready\r\n",
		"hang:accept": "",
		"hang-body":   "220 127.5.6.7 mu",
		"slow:1h":     "",
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			s := serviceOf(t, TCP, behaviour)
			c := reach(t, s, TCP, "127.5.6.7")
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Fatalf("banner %q, %v", got, err)
			}
			if _, err := io.WriteString(c, "hello\n"); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if rest, err := io.ReadAll(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the address did not keep silent: %q, %v", rest, err)
			}
			_ = c.Close()
			eventually(t, s, "the end of the connection", func(st Stats) bool { return st.Open == 0 })
		})
	}
}

// A line longer than any buffer is answered in pieces, an endless banner goes on,
// and noise is no text.
func TestLinesWithoutEnd(t *testing.T) {
	t.Parallel()
	c := reach(t, serviceOf(t, TCP, "endless"), TCP, "127.0.0.1")
	if n, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Errorf("endless banner ended after %d bytes: %v", n, err)
	}
	c = reach(t, serviceOf(t, TCP, "garbage:300"), TCP, "127.0.0.1")
	if b, err := io.ReadAll(c); err != nil || len(b) != 300 || b[0] < 0x80 {
		t.Errorf("%d bytes of noise, %v", len(b), err)
	}
	s := serviceOf(t, TCP, "ok")
	c = reach(t, s, TCP, "127.0.0.1")
	if _, err := io.WriteString(c, strings.Repeat("x", 2*maxTextLine)+"\nQUIT\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || strings.Count(string(b), "x") != 2*maxTextLine || strings.Count(string(b), "OK") != 3 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if st := s.Stats(); st.Requests != 4 || st.ByProfile["ok"] != 1 {
		t.Errorf("stats: %+v", st)
	}
}

// A fleet serves what it is asked to, and nothing else.
func TestServices(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{TCP: []string{"[::1]:0", ":0"}, UDP: []string{":0"}, Loops: 2})
	if got := s.Services(); len(got) != 2 || got[0] != TCP || got[1] != UDP || len(s.ServiceAddrs(TCP)) != 2 {
		t.Errorf("services %v, TCP at %v", got, s.ServiceAddrs(TCP))
	}
	if s.ServiceAddr(HTTP).IsValid() || s.TLSAddr().IsValid() {
		t.Error("HTTP is served though nobody asked for it")
	}
	c := reach(t, s, TCP, "::1")
	if banner, err := bufio.NewReader(c).ReadString('\n'); err != nil || banner != "220 ::1 muster-sim ready\r\n" {
		t.Errorf("banner %q, %v", banner, err)
	}
	for _, f := range []*Fleet{{TCP: []string{s.ServiceAddrs(TCP)[1].String()}}, {UDP: []string{s.ServiceAddr(UDP).String()}}} {
		if other, err := f.Start(t.Context()); err == nil {
			t.Errorf("two fleets serve %v", other.served)
			_ = other.Close()
		}
	}
}

// BenchmarkConnect tells what the fleet spends on a client that connects and leaves.
func BenchmarkConnect(b *testing.B) {
	s := start(b, &Fleet{TCP: []string{":0"}, Loops: 1})
	s.Reset()
	for i := range b.N {
		ip := netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)})
		c, err := net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, s.ServiceAddr(TCP).Port())))
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
	b.ReportMetric(s.Stats().CPUSeconds*1e6/float64(b.N), "fleet-us/op")
}
