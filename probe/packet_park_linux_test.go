package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// rowsOf returns n rows to one target.
func rowsOf(target muster.Target, n int) (rows []muster.Target) {
	for i := range n {
		target.Index, target.Vars = i, map[string]string{"row": fmt.Sprint(i)}
		rows = append(rows, target)
	}
	return rows
}

// TestDatagramsWithOneDescriptor has targets of both families, and rows that need sockets of their own, share the only
// descriptor there is.
func TestDatagramsWithOneDescriptor(t *testing.T) {
	t.Parallel()
	const n = 40
	four, six := datagramServer(t, echo), datagramServerAt(t, "[::1]:0", echo)
	budget := &dial.Budget{Limit: 1}
	f := &feed{window: 10}
	for i, row := range rowsOf(four, n) {
		if i%3 == 0 {
			row.Host, row.Addr, row.Port = six.Host, six.Addr, six.Port
		}
		f.targets = append(f.targets, row)
	}
	runBatch(t, t.Context(), proberOf(t, UDP{Data: "{{.row}}"}, Env{Dialer: &dial.Dialer{Budget: budget}}), f)
	for i := range f.results {
		if r := &f.results[i]; r.Outcome != muster.OK || string(r.Body) != fmt.Sprint(r.Index) {
			t.Errorf("row %d: %v %v %q %s", r.Index, r.Outcome, r.Failure, r.Body, r.Detail)
		}
	}
	if len(f.byIndex) != n || len(f.results) != n || budget.InUse() != 0 {
		t.Errorf("%d results of %d targets, %d descriptors in use", len(f.results), len(f.byIndex), budget.InUse())
	}
}

// TestDatagramsWaitForADescriptor has somebody else hold the only descriptor: for a while, until the cancel, for ever.
func TestDatagramsWaitForADescriptor(t *testing.T) {
	t.Parallel()
	target := datagramServer(t, echo)
	for _, c := range []struct {
		name    string
		timeout time.Duration
		then    func(b *dial.Budget, cancel func())
		want    muster.Outcome
	}{
		{"a while", time.Minute, func(b *dial.Budget, _ func()) { b.Release() }, muster.OK},
		{"canceled", time.Minute, func(_ *dial.Budget, cancel func()) { cancel() }, muster.Canceled},
		{"for ever", 100 * time.Millisecond, func(*dial.Budget, func()) {}, muster.Failed},
	} {
		budget := &dial.Budget{Limit: 1}
		if !budget.TryAcquire() {
			t.Fatal("no descriptor")
		}
		ctx, cancel := context.WithCancel(t.Context())
		f := &feed{targets: rowsOf(target, 3), window: 3}
		then := sync.OnceFunc(func() { c.then(budget, cancel) })
		stop := budget.Reclaim(func() bool { then(); return false }) // called once the loop has found none
		runBatch(t, ctx, proberOf(t, UDP{}, Env{Timeout: c.timeout, Dialer: &dial.Dialer{Budget: budget}}), f)
		stop()
		cancel()
		if got := len(f.results) + len(f.targets); got != 3 || len(f.results) == 0 {
			t.Errorf("%s: %d results, %d left", c.name, len(f.results), len(f.targets))
		}
		for i := range f.results {
			if r := &f.results[i]; r.Outcome != c.want || c.want == muster.Failed && r.Failure != muster.FailLocal {
				t.Errorf("%s: %v %v %s", c.name, r.Outcome, r.Failure, r.Detail)
			}
		}
	}
}

// TestUDPLateReplyIsNobodysElse has a server answer each datagram twice: the second reply is not the next row's.
func TestUDPLateReplyIsNobodysElse(t *testing.T) {
	t.Parallel()
	const n = 30
	target := datagramServer(t, func(pc net.PacketConn, from net.Addr, b []byte) {
		pc.WriteTo(b, from)
		pc.WriteTo(b, from)
	})
	f := &feed{targets: rowsOf(target, n), window: 1}
	runBatch(t, t.Context(), proberOf(t, UDP{Data: "{{.row}}"}, Env{}), f)
	for i := range f.results {
		if r := &f.results[i]; r.Outcome != muster.OK || string(r.Body) != fmt.Sprint(r.Index) {
			t.Errorf("row %d: %v %q %s", r.Index, r.Outcome, r.Body, r.Detail)
		}
	}
	if len(f.byIndex) != n {
		t.Fatalf("%d of %d targets", len(f.byIndex), n)
	}
}

// TestDatagramsOfSlowNames has more names under way than there are keys, which all resolve at once.
func TestDatagramsOfSlowNames(t *testing.T) {
	t.Parallel()
	const n = packetKeys + 1000
	var asked atomic.Int32
	server := nameServer(t, func(q []byte) [][]byte {
		asked.Add(1)
		return nil
	}, nothing)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	resolver := &dial.Resolver{Server: netip.AddrPortFrom(server.Addr, server.Port).String()}
	f := &feed{}
	for i := range n {
		f.targets = append(f.targets, muster.Target{Index: i, Host: "slow.example", Port: 9})
	}
	runBatch(t, ctx, proberOf(t, UDP{}, Env{Timeout: time.Minute, Dialer: &dial.Dialer{Resolver: resolver}}), f)
	if f.peak > packetKeys/2 || len(f.results)+len(f.targets) != n {
		t.Errorf("%d under way at once, %d results, %d left", f.peak, len(f.results), len(f.targets))
	}
}

// TestArrivalsAfterTheClockWasSet has the wall clock jump between the arrival of a datagram and its reading.
func TestArrivalsAfterTheClockWasSet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	wall := time.Duration(now.UnixNano())
	for _, c := range []struct{ age, empty, want time.Duration }{
		{3 * time.Millisecond, 5 * time.Millisecond, 3 * time.Millisecond},
		{30 * time.Second, 5 * time.Millisecond, 0},
		{-30 * time.Second, 5 * time.Millisecond, 0},
		{2 * time.Second, 3 * time.Second, 2 * time.Second},
	} {
		if got := now.Sub(arrivedAt(now, wall-c.age, c.empty)); got != c.want {
			t.Errorf("age %v, empty %v ago: arrived %v ago, want %v", c.age, c.empty, got, c.want)
		}
	}
}
