package probe

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
)

// TestDNSWrongAddress has somebody else answer, who knows id and question: alone, or before the server.
func TestDNSWrongAddress(t *testing.T) {
	t.Parallel()
	other, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	for _, way := range datagramPaths() {
		for _, answers := range []bool{false, true} {
			target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
				other.WriteTo(answerTo(t, b, nil, "example. 1 IN A 10.6.6.6"), from)
				if answers {
					pc.WriteTo(answerTo(t, b, nil, "example. 1 IN A 10.0.0.1"), from)
				}
			})
			timeout := 200 * time.Millisecond
			if answers {
				timeout = 10 * time.Second
			}
			r := way.probe(t.Context(), proberOf(t, DNS{Name: "example"}, Env{Timeout: timeout}), target)
			switch {
			case answers && (r.Outcome != muster.OK || fieldOf(&r, "answer") != "10.0.0.1"):
				t.Errorf("%s: %v %v %s", way.name, r.Outcome, fieldOf(&r, "answer"), r.Detail)
			case !answers && r.Failure != muster.FailNoReply:
				t.Errorf("%s: a lie alone: %v %v %s", way.name, r.Outcome, r.Failure, r.Detail)
			}
		}
	}
}

// TestDNSLateTry answers the second question only, which has the first one's id.
func TestDNSLateTry(t *testing.T) {
	t.Parallel()
	for _, way := range datagramPaths() {
		var ids []uint16
		target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
			id, _ := dnsID(b)
			if ids = append(ids, id); len(ids) > 1 && ids[0] == id {
				pc.WriteTo(answerTo(t, b, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), from)
			}
		})
		spec := DNS{Name: "example", Tries: 5, Wait: muster.Duration(30 * time.Millisecond), Backoff: 1.5}
		r := way.probe(t.Context(), proberOf(t, spec, Env{}), target)
		if r.Outcome != muster.OK || r.Status != "SERVFAIL" || !r.Transient {
			t.Errorf("%s: %v %q transient %v %s", way.name, r.Outcome, r.Status, r.Transient, r.Detail)
		}
	}
}
