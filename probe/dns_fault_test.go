package probe

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
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

// spoil returns an edited answer to the query.
func spoil(t testing.TB, q []byte, f func(b []byte) []byte) []byte {
	return f(answerTo(t, q, nil, "example. 1 IN A 10.0.0.1"))
}

func TestDNSGarbage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		f    func(b []byte) []byte
	}{
		{"shorter than a header", func(b []byte) []byte { return b[:11] }},
		{"shorter than a header", func(b []byte) []byte { return nil }},
		{"another id", func(b []byte) []byte { b[1]++; return b }},
		{"a question, not an answer", func(b []byte) []byte { b[2] &^= 0x80; return b }},
		{"another operation", func(b []byte) []byte { b[2] |= 0x28; return b }},
		{"another question", func(b []byte) []byte { b[13]++; return b }},
		{"another question", func(b []byte) []byte { b[dnsHead+9+1]++; return b }},
		{"another number of questions", func(b []byte) []byte { b[5] = 2; return b }},
		{"another number of questions", func(b []byte) []byte { b[5] = 0; return b }},
		{"malformed", func(b []byte) []byte { return b[:len(b)-1] }},
		{"malformed", func(b []byte) []byte { b[7] = 200; return b }},
	} {
		spoilt := func(q []byte) [][]byte { return [][]byte{spoil(t, q, c.f)} }
		then := func(q []byte) [][]byte { return append(spoilt(q), answerTo(t, q, nil, "example. 1 IN A 10.0.0.1")) }
		p := proberOf(t, DNS{Name: "example"}, Env{Timeout: 150 * time.Millisecond})
		patient := proberOf(t, DNS{Name: "example"}, Env{Timeout: 5 * time.Second})
		for _, way := range datagramPaths() {
			r := way.probe(t.Context(), p, nameServer(t, spoilt, nothing))
			if r.Failure != muster.FailProtocol || r.Reason != "no usable answer" || !strings.HasSuffix(r.Detail, c.name) {
				t.Errorf("%s, %s: %v %v (%s) %s", c.name, way.name, r.Outcome, r.Failure, r.Reason, r.Detail)
			}
			r = way.probe(t.Context(), patient, nameServer(t, then, nothing))
			if r.Outcome != muster.OK || fieldOf(&r, "answer") != "10.0.0.1" {
				t.Errorf("%s, then the answer, %s: %v %s", c.name, way.name, r.Outcome, r.Detail)
			}
		}
		tcp := proberOf(t, DNS{Name: "example", Transport: "tcp"}, Env{})
		if r := tcp.Probe(t.Context(), nameServer(t, nothing, spoilt)); r.Failure != muster.FailProtocol {
			t.Errorf("%s over TCP: %v %v %s", c.name, r.Outcome, r.Failure, r.Detail)
		}
	}
}

func TestDNSTruncation(t *testing.T) {
	t.Parallel()
	cut := func(q []byte) [][]byte {
		b := answerTo(t, q, func(m *dns.Msg) { m.Truncated = true }, "example. 1 IN A 10.0.0.1", "example. 1 IN A 10.0.0.2")
		return [][]byte{b[:len(b)-3]}
	}
	whole := func(q []byte) [][]byte {
		return [][]byte{answerTo(t, q, nil, "example. 1 IN A 10.0.0.1", "example. 1 IN A 10.0.0.2")}
	}
	for _, way := range datagramPaths() {
		p := proberOf(t, DNS{Name: "example"}, Env{})
		r := way.probe(t.Context(), p, nameServer(t, cut, whole))
		if r.Outcome != muster.OK || fieldOf(&r, "answers") != 2.0 || fieldOf(&r, "tc") != true || r.Timings.Connect == 0 {
			t.Errorf("%s: %v %v answers, tc %v: %s", way.name, r.Outcome, fieldOf(&r, "answers"), fieldOf(&r, "tc"), r.Detail)
		}
		r = way.probe(t.Context(), p, datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) { pc.WriteTo(cut(b)[0], from) }))
		if r.Failure != muster.FailRefused || !strings.HasPrefix(r.Detail, "the answer over UDP was truncated") {
			t.Errorf("%s, no TCP there: %v %s", way.name, r.Failure, r.Detail)
		}
		p = proberOf(t, DNS{Name: "example", NoTCP: true}, Env{})
		r = way.probe(t.Context(), p, nameServer(t, cut, whole))
		if r.Outcome != muster.OK || fieldOf(&r, "tc") != true || fieldOf(&r, "answer") != "10.0.0.1" {
			t.Errorf("%s, no_tcp: %v tc %v %q %s", way.name, r.Outcome, fieldOf(&r, "tc"), r.Body, r.Detail)
		}
	}
}

func TestDNSSilence(t *testing.T) {
	t.Parallel()
	for _, way := range datagramPaths() {
		var n atomic.Int32
		target := nameServer(t, func([]byte) [][]byte { n.Add(1); return nil }, nothing)
		p := proberOf(t, DNS{Name: "example"}, Env{Timeout: 600 * time.Millisecond})
		r := way.probe(t.Context(), p, target)
		if r.Failure != muster.FailNoReply || n.Load() != safeTries || !strings.Contains(r.Detail, "3 datagrams") {
			t.Errorf("%s: %v after %d queries: %s", way.name, r.Failure, n.Load(), r.Detail)
		}
		if r := way.probe(t.Context(), p, closedPort(t)); r.Failure != muster.FailRefused {
			t.Errorf("%s: closed port: %v %s", way.name, r.Failure, r.Detail)
		}
		ctx, cancel := context.WithCancel(t.Context())
		target = nameServer(t, func([]byte) [][]byte { cancel(); return nil }, nothing)
		p = proberOf(t, DNS{Name: "example"}, Env{Timeout: time.Minute})
		if r := way.probe(ctx, p, target); r.Outcome != muster.Canceled {
			t.Errorf("%s: canceled: %v %s", way.name, r.Outcome, r.Detail)
		}
		cancel()
	}
}

func TestDNSStreamFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		handle  func(c *net.TCPConn)
		failure muster.Failure
	}{
		{"closed at once", func(*net.TCPConn) {}, muster.FailReset},
		{"closed inside the answer", func(c *net.TCPConn) { readFramed(c, func() {}); c.Write([]byte{0, 9, 1}) }, muster.FailReset},
		{"hang", hang, muster.FailTimeout},
		{"trickle", func(c *net.TCPConn) {
			readFramed(c, func() {})
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := c.Write([]byte{1}); err != nil {
					return
				}
			}
		}, muster.FailTimeout},
		{"http", func(c *net.TCPConn) {
			readFramed(c, func() {})
			io.WriteString(c, strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 1000))
		}, muster.FailProtocol},
	} {
		p := proberOf(t, DNS{Name: "example", Transport: "tcp"}, Env{Timeout: 300 * time.Millisecond})
		if r := p.Probe(t.Context(), serve(t, c.handle)); r.Failure != c.failure || !r.Sent {
			t.Errorf("%s: %v %v sent %v: %s", c.name, r.Outcome, r.Failure, r.Sent, r.Detail)
		}
	}
}
