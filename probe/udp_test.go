package probe

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func echo(pc net.PacketConn, from net.Addr, b []byte) { pc.WriteTo(b, from) }

func TestUDPReplies(t *testing.T) {
	t.Parallel()
	three := func(pc net.PacketConn, from net.Addr, b []byte) {
		for _, s := range []string{"one", "two\n", "three"} {
			pc.WriteTo([]byte(s), from)
		}
	}
	for _, c := range []struct {
		name    string
		spec    UDP
		handle  func(net.PacketConn, net.Addr, []byte)
		body    string
		outcome muster.Outcome
		reason  string
		replies float64
	}{
		{"echo", UDP{Data: `a\x00b\r\n`}, echo, "a\x00b\r\n", muster.OK, "", 1},
		{"hex", UDP{Hex: "de:ad be ef"}, echo, "\xde\xad\xbe\xef", muster.OK, "", 1},
		{"one byte", UDP{Data: "x"}, echo, "x", muster.OK, "", 1},
		{"empty both ways", UDP{}, echo, "", muster.OK, "", 1},
		{"template", UDP{Data: "{{.rack}}"}, echo, "r1", muster.OK, "", 1},
		{"hex template", UDP{Hex: "00{{.digits}}"}, echo, "\x00\xff", muster.OK, "", 1},
		{"first of three", UDP{}, three, "one", muster.OK, "", 1},
		{"three", UDP{Replies: 3}, three, "one\ntwo\nthree", muster.OK, "", 3},
		{"until idle", UDP{Idle: muster.Duration(250 * time.Millisecond)}, three, "one\ntwo\nthree", muster.OK, "", 3},
		{"fewer", UDP{Replies: 4, Idle: muster.Duration(250 * time.Millisecond)}, three, "one\ntwo\nthree", muster.Unexpected, "too few replies", 3},
		{"largest", UDP{Data: strings.Repeat("x", maxDatagram)}, echo, strings.Repeat("x", maxDatagram), muster.OK, "", 1},
		{"cut", UDP{Data: "123456789", BodyLimit: 5, Truncate: true}, echo, "12345", muster.OK, "", 1},
	} {
		p := proberOf(t, c.spec, Env{Timeout: 5 * time.Second})
		for _, way := range datagramPaths() {
			target := datagramServer(t, c.handle)
			target.Vars = map[string]string{"rack": "r1", "digits": "ff"}
			r := way.probe(t.Context(), p, target)
			if r.Outcome != c.outcome || r.Reason != c.reason || string(r.Body) != c.body || fieldOf(&r, "replies") != c.replies {
				t.Errorf("%s, %s: %v (%s) %q replies %v %s", c.name, way.name, r.Outcome, r.Reason, r.Body, fieldOf(&r, "replies"), r.Detail)
			}
			if !r.Sent || r.Status != "reply" || r.Address.Port() != target.Port || r.Timings.FirstByte <= 0 || r.Timings.Total < r.Timings.FirstByte || r.Truncated != (c.name == "cut") {
				t.Errorf("%s, %s: sent %v, status %q, address %v, timings %+v, truncated %v", c.name, way.name, r.Sent, r.Status, r.Address, r.Timings, r.Truncated)
			}
		}
	}
}

func TestUDPFaults(t *testing.T) {
	t.Parallel()
	silent := datagramServer(t, func(net.PacketConn, net.Addr, []byte) {})
	endless := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
		for range 100 {
			pc.WriteTo(make([]byte, 1000), from)
		}
	})
	target := func(host string, port uint16) muster.Target {
		a, _ := netip.ParseAddr(host)
		return muster.Target{ID: host, Host: host, Addr: a, Port: port}
	}
	for _, c := range []struct {
		name    string
		spec    UDP
		target  muster.Target
		outcome muster.Outcome
		failure muster.Failure
		reason  string
		sent    bool
	}{
		{"closed port", UDP{}, closedPort(t), muster.Failed, muster.FailRefused, "connection refused", true},
		{"silence", UDP{}, silent, muster.Failed, muster.FailNoReply, "no reply", true},
		{"too large", UDP{BodyLimit: 2500, Idle: muster.Duration(time.Second)}, endless, muster.Failed, muster.FailTooLarge, "body too large", true},
		{"no port", UDP{}, target("127.0.0.1", 0), muster.Invalid, 0, "no port", false},
		{"missing variable", UDP{Data: "{{.none}}"}, silent, muster.Invalid, 0, "missing variable none", false},
		{"bad digits", UDP{Hex: "0{{.host}}"}, silent, muster.Invalid, 0, "invalid payload", false},
		{"bad port", UDP{Port: "{{.host}}"}, target("127.0.0.1", 0), muster.Invalid, 0, "invalid port", false},
		{"denied", UDP{}, target("169.254.169.254", 53), muster.Denied, 0, "denied link-local 169.254.0.0/16", false},
		{"another scheme", UDP{}, muster.Target{ID: "x", Scheme: "http", Host: "x", Port: 1}, muster.Invalid, 0, "invalid scheme", false},
	} {
		p := proberOf(t, c.spec, Env{Timeout: 300 * time.Millisecond})
		for _, way := range datagramPaths() {
			r := way.probe(t.Context(), p, c.target)
			if r.Outcome != c.outcome || r.Failure != c.failure || r.Reason != c.reason || r.Sent != c.sent {
				t.Errorf("%s, %s: %v %v (%s) sent %v: %s", c.name, way.name, r.Outcome, r.Failure, r.Reason, r.Sent, r.Detail)
			}
			if r.Timings.Total > 10*time.Second || r.Outcome == muster.Failed && r.Timings.Total == 0 {
				t.Errorf("%s, %s: took %v", c.name, way.name, r.Timings.Total)
			}
		}
	}
}

func TestUDPWrongAddress(t *testing.T) {
	t.Parallel()
	other, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	for _, way := range datagramPaths() {
		p := proberOf(t, UDP{}, Env{Timeout: 300 * time.Millisecond})
		target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) { other.WriteTo([]byte("lie"), from) })
		if r := way.probe(t.Context(), p, target); r.Failure != muster.FailNoReply || r.Body != nil {
			t.Errorf("%s: a lie alone: %v %v %q", way.name, r.Outcome, r.Failure, r.Body)
		}
		target = datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
			other.WriteTo([]byte("lie"), from)
			pc.WriteTo([]byte("truth"), from)
		})
		p = proberOf(t, UDP{}, Env{})
		if r := way.probe(t.Context(), p, target); r.Outcome != muster.OK || string(r.Body) != "truth" {
			t.Errorf("%s: a lie first: %v %q", way.name, r.Outcome, r.Body)
		} else if want := map[string]float64{"loop": 1, "goroutine": 0}[way.name]; fieldOf(&r, "strays") != want {
			t.Errorf("%s: %v strays, want %v", way.name, fieldOf(&r, "strays"), want)
		}
	}
}

func TestUDPTries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spec   UDP
		repeat muster.Repeat
		want   int32
	}{
		{"once", UDP{}, "", 1},
		{"never", UDP{}, muster.RepeatNever, 1},
		{"asked for", UDP{Tries: 4}, "", 4},
		{"safe", UDP{}, muster.RepeatSafe, 3},
		{"safe, once", UDP{Tries: 1}, muster.RepeatSafe, 1},
	} {
		for _, way := range datagramPaths() {
			t.Run(c.name+", "+way.name, func(t *testing.T) {
				t.Parallel()
				p := proberOf(t, c.spec, Env{Timeout: 600 * time.Millisecond, Repeat: c.repeat})
				var got atomic.Int32
				target := datagramServer(t, func(net.PacketConn, net.Addr, []byte) { got.Add(1) })
				if r := way.probe(t.Context(), p, target); r.Failure != muster.FailNoReply || got.Load() != c.want {
					t.Errorf("%d datagrams, want %d: %v %s", got.Load(), c.want, r.Failure, r.Detail)
				}
			})
		}
	}
	if _, err := (UDP{Tries: 2}).Prober(Env{Repeat: muster.RepeatNever}); err == nil || !strings.Contains(err.Error(), "must not be repeated") {
		t.Errorf("tries 2, repeat never: %v", err)
	}
}

// TestUDPLateTry answers the second datagram only.
func TestUDPLateTry(t *testing.T) {
	t.Parallel()
	p := proberOf(t, UDP{Tries: 5, Wait: muster.Duration(30 * time.Millisecond)}, Env{Timeout: 5 * time.Second})
	for _, way := range datagramPaths() {
		var n atomic.Int32
		target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
			if n.Add(1) >= 2 {
				pc.WriteTo([]byte("late"), from)
			}
		})
		if r := way.probe(t.Context(), p, target); r.Outcome != muster.OK || string(r.Body) != "late" || n.Load() < 2 {
			t.Errorf("%s: %v %q after %d: %s", way.name, r.Outcome, r.Body, n.Load(), r.Detail)
		}
	}
}

func TestUDPCancel(t *testing.T) {
	t.Parallel()
	p := proberOf(t, UDP{}, Env{Timeout: time.Minute})
	for _, way := range datagramPaths() {
		ctx, cancel := context.WithCancel(t.Context())
		target := datagramServer(t, func(net.PacketConn, net.Addr, []byte) { cancel() })
		began := time.Now()
		if r := way.probe(ctx, p, target); r.Outcome != muster.Canceled || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v after %v", way.name, r.Outcome, time.Since(began))
		}
		cancel()
	}
}

func TestUDPDescriptorsGoBack(t *testing.T) {
	t.Parallel()
	budget := &dial.Budget{Limit: 10}
	p := proberOf(t, UDP{}, Env{Timeout: 50 * time.Millisecond, Dialer: &dial.Dialer{Budget: budget}})
	target := datagramServer(t, echo)
	for range 30 {
		if r := p.Probe(t.Context(), target); r.Outcome != muster.OK {
			t.Fatal(r.Outcome, r.Detail)
		}
	}
	p.Probe(t.Context(), closedPort(t))
	if n := budget.InUse(); n != 0 {
		t.Errorf("%d descriptors in use", n)
	}
}

func TestUDPValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec UDP
		want string
	}{
		{UDP{Port: "x"}, `port "x"`},
		{UDP{Data: "a", Hex: "00"}, "want one of them"},
		{UDP{Data: `\q`}, `data: "\\q"`},
		{UDP{Hex: "0"}, "pairs of hexadecimal digits"},
		{UDP{Replies: -1}, "replies -1"},
		{UDP{Idle: -1}, "idle"},
		{UDP{Tries: 101}, "tries 101"},
		{UDP{Wait: -1}, "wait"},
		{UDP{Backoff: 0.5}, "backoff 0.5"},
		{UDP{BodyLimit: -1}, "body_limit -1"},
	} {
		err := c.spec.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%+v: %v, want %s", c.spec, err, c.want)
		}
	}
	if _, err := (UDP{DataFile: "/nonexistent"}).Prober(Env{}); err == nil || !strings.Contains(err.Error(), "data_file /nonexistent") {
		t.Errorf("no file: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxDatagram+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (UDP{DataFile: big}).Prober(Env{}); err == nil || !strings.Contains(err.Error(), "at most 65507") {
		t.Errorf("large file: %v", err)
	}
}

func TestUDPFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "payload")
	want := []byte("{{.id}}\x00\\n")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	p := proberOf(t, UDP{DataFile: file}, Env{})
	if r := p.Probe(t.Context(), datagramServer(t, echo)); !bytes.Equal(r.Body, want) {
		t.Errorf("%q, want %q", r.Body, want)
	}
}

func TestUDPPreview(t *testing.T) {
	t.Parallel()
	p := proberOf(t, UDP{Port: "9", Data: `\x00{{secret "env:PW"}} {{.host}}\n`}, Env{Secret: testSecrets})
	got, err := p.(Previewer).Preview(&muster.Target{ID: "a", Host: "::1"})
	if want := "# udp [::1]:9\n" + `\x00[redacted] ::1\n`; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if err := p.(Checker).Check(&muster.Target{ID: "a", Host: "a b"}); err == nil {
		t.Error("a host with a blank passed")
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tries   int
		wait    time.Duration
		factor  float64
		timeout time.Duration
		want    []time.Duration
	}{
		{0, 0, 0, 10 * time.Second, []time.Duration{10 * time.Second}},
		{3, 0, 0, 7 * time.Second, []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second}},
		{2, 0, 1, 4 * time.Second, []time.Duration{2 * time.Second, 2 * time.Second}},
		{3, time.Second, 1.5, time.Second, []time.Duration{time.Second, 1500 * time.Millisecond, 2250 * time.Millisecond}},
	} {
		p := newPatience(c.tries, c.wait, c.factor, c.timeout)
		var got []time.Duration
		for try := range p.tries {
			got = append(got, p.after(try))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if d := newPatience(maxTries, time.Hour, 10, time.Hour).after(maxTries - 1); d <= 0 {
		t.Errorf("the last wait overflows: %v", d)
	}
}

// TestUDPTrickle has a peer that never falls silent: the attempt's time ends the exchange, and what came is kept.
func TestUDPTrickle(t *testing.T) {
	t.Parallel()
	for _, way := range datagramPaths() {
		target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := pc.WriteTo([]byte("."), from); err != nil || t.Context().Err() != nil {
					return
				}
			}
		})
		p := proberOf(t, UDP{Idle: muster.Duration(10 * time.Second)}, Env{Timeout: 300 * time.Millisecond})
		r := way.probe(t.Context(), p, target)
		if n, _ := fieldOf(&r, "replies").(float64); r.Outcome != muster.OK || n < 2 || strings.Count(string(r.Body), ".") != int(n) {
			t.Errorf("%s: %v, %v replies, %q %s", way.name, r.Outcome, fieldOf(&r, "replies"), r.Body, r.Detail)
		}
	}
}
