package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// wildcardServer answers on every loopback address, from the address that was asked.
func wildcardServer(t testing.TB, answer func(asked netip.Addr, b []byte) [][]byte) uint16 {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.(*net.UDPConn).SetReadBuffer(8 << 20); err != nil {
		t.Fatal(err)
	}
	p := ipv4.NewPacketConn(pc)
	if err := p.SetControlMessage(ipv4.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		buf := make([]byte, 1<<16)
		for {
			n, cm, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			asked, _ := netip.AddrFromSlice(cm.Dst.To4())
			for _, b := range answer(asked, buf[:n]) {
				p.WriteTo(b, &ipv4.ControlMessage{Src: cm.Dst}, from)
			}
		}
	}()
	t.Cleanup(func() {
		pc.Close()
		<-ended
	})
	return uint16(pc.LocalAddr().(*net.UDPAddr).Port)
}

// runBatch drives targets through an event loop.
func runBatch(t testing.TB, ctx context.Context, p muster.Prober, f *feed) {
	t.Helper()
	p.(muster.BatchProber).ProbeBatch(ctx, f)
}

func TestDatagramsOfManyTargets(t *testing.T) {
	t.Parallel()
	const n = 4000
	port := wildcardServer(t, func(asked netip.Addr, b []byte) [][]byte {
		switch asked.As4()[3] % 50 {
		case 1:
			return nil
		case 2:
			return [][]byte{[]byte("one"), b}
		}
		return [][]byte{append([]byte(asked.String()+" "), b...)}
	})
	budget := &dial.Budget{Limit: 100}
	f := &feed{window: 700}
	for i := range n {
		f.targets = append(f.targets, loopback(i, port))
	}
	spec := UDP{Data: "{{.host}}", Tries: 3}
	runBatch(t, t.Context(), proberOf(t, spec, Env{Timeout: 3 * time.Second, Dialer: &dial.Dialer{Budget: budget}}), f)
	if len(f.byIndex) != n || len(f.results) != n {
		t.Fatalf("%d results of %d targets", len(f.results), len(f.byIndex))
	}
	for i := range f.results {
		r := &f.results[i]
		at := r.Address.Addr()
		outcome, body := muster.OK, fmt.Sprintf("%v %v", at, at)
		switch at.As4()[3] % 50 {
		case 1:
			outcome, body = muster.Failed, ""
		case 2:
			body = "one"
		}
		if r.Outcome != outcome || string(r.Body) != body || loopback(r.Index, port).Addr != at {
			t.Fatalf("%v: %v %q %s", r.Address, r.Outcome, r.Body, r.Detail)
		}
	}
	if budget.InUse() != 0 {
		t.Errorf("%d descriptors in use", budget.InUse())
	}
}

// TestDNSRowsToOneServer asks one server for many names at once: ids alone tell the answers apart.
func TestDNSRowsToOneServer(t *testing.T) {
	t.Parallel()
	const n = 3000
	target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
		name, _ := questionName(b)
		pc.WriteTo(answerTo(t, b, nil, name+" 1 IN TXT "+name), from)
	})
	f := &feed{window: 500}
	for i := range n {
		row := target
		row.Index, row.Vars = i, map[string]string{"row": fmt.Sprint(i)}
		f.targets = append(f.targets, row)
	}
	runBatch(t, t.Context(), proberOf(t, DNS{Name: "r{{.row}}.example", Type: "TXT"}, Env{}), f)
	if len(f.byIndex) != n {
		t.Fatalf("%d of %d targets", len(f.byIndex), n)
	}
	for i := range f.results {
		r := &f.results[i]
		if want := fmt.Sprintf("\"r%d.example.\"", r.Index); r.Outcome != muster.OK || fieldOf(r, "answer") != want {
			t.Fatalf("row %d: %v %v, want %s: %s", r.Index, r.Outcome, fieldOf(r, "answer"), want, r.Detail)
		}
	}
}

// TestUDPRowsToOneServer sends many rows to one address and port, which nothing in a reply tells apart.
func TestUDPRowsToOneServer(t *testing.T) {
	t.Parallel()
	const n = 300
	target := datagramServer(t, echo)
	f := &feed{window: 50}
	for i := range n {
		row := target
		row.Index, row.Vars = i, map[string]string{"row": fmt.Sprint(i)}
		f.targets = append(f.targets, row)
	}
	runBatch(t, t.Context(), proberOf(t, UDP{Data: "{{.row}}"}, Env{}), f)
	for i := range f.results {
		if r := &f.results[i]; r.Outcome != muster.OK || string(r.Body) != fmt.Sprint(r.Index) {
			t.Fatalf("row %d: %v %q %s", r.Index, r.Outcome, r.Body, r.Detail)
		}
	}
	if len(f.byIndex) != n {
		t.Fatalf("%d of %d targets", len(f.byIndex), n)
	}
}

func TestDatagramsCancelMany(t *testing.T) {
	t.Parallel()
	const n = 10_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := 0
	port := wildcardServer(t, func(netip.Addr, []byte) [][]byte {
		if got++; got == n/10 {
			cancel()
		}
		return nil
	})
	f := &feed{}
	for i := range n {
		f.targets = append(f.targets, loopback(i, port))
	}
	began := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() { began <- time.Now() })
	runBatch(t, ctx, proberOf(t, UDP{}, Env{Timeout: time.Minute}), f)
	if took := time.Since(<-began); took > time.Second {
		t.Errorf("the cancel took %v", took)
	}
	if len(f.results)+len(f.targets) != n {
		t.Errorf("%d results, %d left, of %d", len(f.results), len(f.targets), n)
	}
	for i := range f.results {
		if f.results[i].Outcome != muster.Canceled {
			t.Fatalf("%v", f.results[i].Outcome)
		}
	}
}

// TestDNSGarbageIsNobodysAnswer has one server of two lie.
func TestDNSGarbageIsNobodysAnswer(t *testing.T) {
	t.Parallel()
	good := nameServer(t, func(q []byte) [][]byte { return [][]byte{answerTo(t, q, nil, "example. 1 IN A 10.0.0.1")} }, nothing)
	liar := datagramServerAt(t, "127.0.0.2:0", func(pc net.PacketConn, from net.Addr, b []byte) {
		b[1]++
		b[2] |= 0x80
		pc.WriteTo(b, from)
	})
	liar.Index = 1
	f := &feed{targets: []muster.Target{good, liar}}
	runBatch(t, t.Context(), proberOf(t, DNS{Name: "example"}, Env{Timeout: 200 * time.Millisecond}), f)
	for i := range f.results {
		r := &f.results[i]
		if want := []muster.Outcome{muster.OK, muster.Failed}[r.Index]; r.Outcome != want || r.Index == 1 && r.Failure != muster.FailProtocol {
			t.Errorf("%v: %v %v %s", r.Address, r.Outcome, r.Failure, r.Detail)
		}
	}
}

func TestDatagramsOverIPv6(t *testing.T) {
	t.Parallel()
	target := datagramServerAt(t, "[::1]:0", echo)
	for _, way := range datagramPaths() {
		r := way.probe(t.Context(), proberOf(t, UDP{Data: "six"}, Env{}), target)
		if r.Outcome != muster.OK || string(r.Body) != "six" {
			t.Errorf("%s: %v %q %s", way.name, r.Outcome, r.Body, r.Detail)
		}
		closed := target
		closed.Port = closedPort(t).Port
		if r := way.probe(t.Context(), proberOf(t, UDP{}, Env{Timeout: time.Second}), closed); r.Failure != muster.FailRefused {
			t.Errorf("%s: closed port: %v %v %s", way.name, r.Outcome, r.Failure, r.Detail)
		}
	}
}
