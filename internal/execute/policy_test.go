package execute

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/sim"
)

// zone says what a name server answers: the address of a name, or how it fails. Queries of type AAAA find
// IPv6 addresses only.
type zone func(name string) (netip.Addr, dnsmessage.RCode)

// silent is the code of names that get no answer.
const silent dnsmessage.RCode = 0xfff

// nameServer serves z over UDP until the test ends. It returns its address and its count of the
// questions about each name.
func nameServer(t testing.TB, z zone) (addr string, asked func(name string) int) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	questions := map[string]int{}
	var served sync.WaitGroup
	served.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			mu.Lock()
			questions[strings.TrimSuffix(m.Questions[0].Name.String(), ".")]++
			mu.Unlock()
			if answer := z.answer(&m); answer != nil {
				c.WriteTo(answer, from)
			}
		}
	})
	t.Cleanup(func() {
		c.Close()
		served.Wait()
	})
	return c.LocalAddr().String(), func(name string) int {
		mu.Lock()
		defer mu.Unlock()
		return questions[name]
	}
}

// answer turns a query into its answer; nil is none.
func (z zone) answer(m *dnsmessage.Message) []byte {
	q := m.Questions[0]
	a, code := z(strings.TrimSuffix(q.Name.String(), "."))
	if code == silent {
		return nil
	}
	m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, code, nil
	h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
	switch {
	case code != dnsmessage.RCodeSuccess:
	case a.Is4() && q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}}
	case a.Is6() && q.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// called is a list of hosts by name.
type called struct {
	names []string
	port  uint16
}

func (c called) Len() int { return len(c.names) }

func (c called) At(i int) (muster.Target, error) {
	t := muster.Target{Index: i, ID: c.names[i], Host: c.names[i], Port: c.port}
	t.Addr, _ = netip.ParseAddr(t.Host)
	return t, nil
}

func (c called) Hash() [32]byte { return sha256.Sum256(fmt.Append(nil, c)) }

// resolving returns the plan's dialer with the given name server.
func resolving(t testing.TB, p *muster.Plan, server string) *dial.Dialer {
	t.Helper()
	d, err := dial.FromPlan(p)
	if err != nil {
		t.Fatal(err)
	}
	d.Resolver = &dial.Resolver{Server: server}
	return d
}

// places are hosts and where they are; the policy under test allows 127.50.0.0/16 and 169.254.1.0/24
// without 127.50.1.0/24.
var places = []struct{ name, addr, denied string }{
	{"web.test", "127.50.0.1", ""},
	{"127.50.0.2", "", ""},
	{"inside.test", "127.50.1.1", "denied 127.50.1.0/24"},
	{"127.50.1.2", "", "denied 127.50.1.0/24"},
	{"::ffff:127.50.1.3", "", "denied 127.50.1.0/24"},
	{"outside.test", "127.51.0.1", "denied not in allow list"},
	{"127.51.0.2", "", "denied not in allow list"},
	{"meta.test", "169.254.169.254", "denied link-local 169.254.0.0/16"},
	{"169.254.169.254", "", "denied link-local 169.254.0.0/16"},
	{"any.test", "0.0.0.0", "denied unspecified 0.0.0.0/8"},
	{"nat64.test", "64:ff9b::a9fe:a9fe", "denied link-local 169.254.0.0/16"},
}

func locate(name string) (netip.Addr, dnsmessage.RCode) {
	for _, p := range places {
		if p.name == name {
			return netip.MustParseAddr(p.addr), dnsmessage.RCodeSuccess
		}
	}
	return netip.Addr{}, dnsmessage.RCodeNameError
}

// TestPolicyHoldsOnResolvedAddresses sends a job to names and addresses on both sides of a policy, on every
// path, and twice: the second time the names are known and go through the event loop.
func TestPolicyHoldsOnResolvedAddresses(t *testing.T) {
	t.Parallel()
	server, _ := nameServer(t, locate)
	s := fleet(t, sim.Fleet{})
	hosts := called{port: s.Addr().Port()}
	for _, p := range places {
		hosts.names = append(hosts.names, p.name)
	}
	plan := muster.Plan{
		Allow: []string{"127.50.0.0/16", "169.254.1.0/24"}, Deny: []string{"127.50.1.0/24"},
		MaxErrors: &muster.Size{}, // a denial is no failure
	}
	for _, params := range []string{`{"url":"/"}`, `{"url":"/","follow":2}`} {
		for _, reuse := range []bool{false, true} {
			w := compiled(t, params, plan, Surroundings{Dialer: resolving(t, &plan, server), FewHosts: reuse})
			for round := range 2 {
				j := begin(t, w, hosts, nil)
				for i, r := range j.wait(t) {
					want := muster.OK
					if places[i].denied != "" {
						want = muster.Denied
					}
					if r.Outcome != want || r.Reason != places[i].denied {
						t.Errorf("%s, reuse %v, round %d: %s: %s (%q, %s), want %s (%q)",
							params, reuse, round, r.Target, r.Outcome, r.Reason, r.Detail, want, places[i].denied)
					}
				}
			}
		}
	}
	if st := s.Stats(); st.DistinctAddresses != 2 || st.Requests != 2*8 {
		t.Errorf("the fleet counted %d requests from %d addresses", st.Requests, st.DistinctAddresses)
	}
}

// TestPolicyHoldsBehindRedirects has an allowed host that points to a denied one.
func TestPolicyHoldsBehindRedirects(t *testing.T) {
	t.Parallel()
	inner := fleet(t, sim.Fleet{})
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=redirect:http://127.50.1.1:"+inner.Port()+"/")})
	plan := muster.Plan{Deny: []string{"127.50.1.0/24"}}
	j := begin(t, compiled(t, `{"url":"/","follow":3}`, plan, Surroundings{}), crowd{n: 20, port: s.Addr().Port()}, nil)
	for _, r := range j.wait(t) {
		if r.Outcome != muster.Denied || r.Reason != "denied 127.50.1.0/24" {
			t.Errorf("%s (%q, %s), want denied", r.Outcome, r.Reason, r.Detail)
		}
	}
	if st := inner.Stats(); st.Connections != 0 {
		t.Errorf("the denied host saw %d connections", st.Connections)
	}
}

// TestTwoThousandNamesAreHit resolves each name once and hits each address once.
func TestTwoThousandNamesAreHit(t *testing.T) {
	t.Parallel()
	const n = 2000
	numbers := map[string]int{}
	var hosts called
	for i := range n {
		name := fmt.Sprintf("node-%d.test", i)
		numbers[name] = i
		hosts.names = append(hosts.names, name)
	}
	server, asked := nameServer(t, func(name string) (netip.Addr, dnsmessage.RCode) {
		i, ok := numbers[name]
		if !ok {
			return netip.Addr{}, dnsmessage.RCodeNameError
		}
		return netip.AddrFrom4([4]byte{127, 52, byte(i >> 8), byte(i)}), dnsmessage.RCodeSuccess
	})
	s := fleet(t, sim.Fleet{})
	hosts.port = s.Addr().Port()
	plan := muster.Plan{}
	w := compiled(t, `{"url":"/"}`, plan, Surroundings{Dialer: resolving(t, &plan, server)})
	j := begin(t, w, hosts, nil)
	for i, r := range j.wait(t) {
		if want := netip.AddrFrom4([4]byte{127, 52, byte(i >> 8), byte(i)}); r.Outcome != muster.OK || r.Address.Addr() != want {
			t.Fatalf("%s: %s %s (%s) at %v, want %v", r.Target, r.Outcome, r.Failure, r.Detail, r.Address, want)
		}
	}
	if st := s.Stats(); st.Requests != n || st.DistinctAddresses != n || st.MaxHitsPerAddress != 1 {
		t.Errorf("the fleet counted %d requests from %d addresses", st.Requests, st.DistinctAddresses)
	}
	if q := asked("node-7.test"); q != 1 && q != 2 { // the system's own resolver may repeat a lost datagram
		t.Errorf("node-7 was asked for %d times", q)
	}
}

// TestNamesThatDoNotResolveAreDNSFailures has names that are unknown, broken and unanswered.
func TestNamesThatDoNotResolveAreDNSFailures(t *testing.T) {
	t.Parallel()
	codes := map[string]dnsmessage.RCode{
		"unknown.test": dnsmessage.RCodeNameError, "broken.test": dnsmessage.RCodeServerFailure, "mute.test": silent,
	}
	server, _ := nameServer(t, func(name string) (netip.Addr, dnsmessage.RCode) {
		code, ok := codes[name]
		if !ok {
			code = dnsmessage.RCodeNameError
		}
		return netip.Addr{}, code
	})
	plan := muster.Plan{Timeout: 1500 * millisecond}
	w := compiled(t, `{"url":"/"}`, plan, Surroundings{Dialer: resolving(t, &plan, server)})
	j := begin(t, w, called{names: []string{"unknown.test", "broken.test", "mute.test"}, port: 1}, nil)
	for i, r := range j.wait(t) {
		want := []string{"no such host", "dns server failure", "dns timeout"}[i]
		if r.Failure != muster.FailDNS || r.Reason != want || r.Timings.Total > 3*time.Second {
			t.Errorf("%s: %s %s (%q, %s) after %v, want dns (%q)", r.Target, r.Outcome, r.Failure, r.Reason, r.Detail, r.Timings.Total, want)
		}
	}
}
