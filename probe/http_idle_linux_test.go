package probe

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// TestLoopKeepsConnections sends many requests to few servers: no more connections than there were at once, and
// none is left open.
func TestLoopKeepsConnections(t *testing.T) {
	t.Parallel()
	var ts []muster.Target
	var conns [3]atomic.Int32
	for i := range conns {
		ts = append(ts, serveCounting(t, &conns[i], func(*net.TCPConn, int, int) bool { return true }))
	}
	budget := &dial.Budget{Limit: 100}
	p := compile(t, HTTP{}, Env{ReuseHint: true, Dialer: &dial.Dialer{Budget: budget}})
	f := &feed{targets: numbered(slices.Repeat(ts, 200)), window: 12}
	p.ProbeBatch(t.Context(), f)
	checkAllOK(t, f.results, 600)
	for i := range conns {
		if n := conns[i].Load(); n > 12 {
			t.Errorf("server %d: %d connections, 12 requests at once", i, n)
		}
	}
	if budget.InUse() != 0 || p.idle.n.Load() != 0 {
		t.Errorf("%d sockets open, %d idle", budget.InUse(), p.idle.n.Load())
	}
}

func numbered(ts []muster.Target) []muster.Target {
	for i := range ts {
		ts[i].Index = i
	}
	return ts
}

func checkAllOK(t *testing.T, rs []muster.Result, n int) {
	t.Helper()
	if len(rs) != n {
		t.Fatalf("%d results, want %d", len(rs), n)
	}
	for _, r := range rs {
		if r.Outcome != muster.OK {
			t.Fatalf("target %d: %v %v %s", r.Index, r.Outcome, r.Failure, r.Detail)
		}
	}
}

// TestIdleGiveWay runs into a shortage of descriptors, which idle connections to other servers must not cause.
func TestIdleGiveWay(t *testing.T) {
	t.Parallel()
	port := startFleet(t, "slow:1ms")
	for _, limit := range []int{1, 2, 7} {
		budget := &dial.Budget{Limit: limit}
		p := compile(t, HTTP{}, Env{ReuseHint: true, Dialer: &dial.Dialer{Budget: budget}})
		ts := numbered(slices.Repeat(fleetTargets(60, port), 3))
		begun := time.Now()
		checkAllOK(t, batchAll(t, p, ts, 20), len(ts))
		if took := time.Since(begun); took > idleFor {
			t.Errorf("%d descriptors: took %v", limit, took)
		}
		if budget.InUse() != 0 {
			t.Errorf("%d descriptors: %d still in use", limit, budget.InUse())
		}
	}
}

// TestIdleExpire lets a loop sleep on an idle connection until it is too old.
func TestIdleExpire(t *testing.T) {
	t.Parallel()
	gone := make(chan bool, 1)
	target := serve(t, func(c *net.TCPConn) {
		thenHang(answerWith(okHead + "Content-Length: 2\r\n\r\nhi"))(c)
		gone <- true
	})
	p := compile(t, HTTP{}, Env{ReuseHint: true})
	f := newSlowFeed()
	l, err := newEventLoop(t.Context(), p, f)
	if err != nil {
		t.Fatal(err)
	}
	l.idling.after = 50 * time.Millisecond
	f.Notify(l.poll.wake)
	ended := make(chan bool)
	go func() {
		l.run()
		l.close()
		close(ended)
	}()
	f.offer(&target)
	answered := time.Now()
	if r := <-f.done; r.Outcome != muster.OK {
		t.Error(r.Outcome, r.Detail)
	}
	<-gone
	if took := time.Since(answered); took < l.idling.after || took > idleFor {
		t.Errorf("closed after %v", took)
	}
	f.offer(nil)
	<-ended
}

// TestIdleClosedByCancel ends a loop that sleeps on an idle connection.
func TestIdleClosedByCancel(t *testing.T) {
	t.Parallel()
	budget := &dial.Budget{Limit: 4}
	p := compile(t, HTTP{}, Env{ReuseHint: true, Dialer: &dial.Dialer{Budget: budget}})
	t.Run("job", func(t *testing.T) {
		ask := loopAskers()[0].start(t, p)
		if r := ask(fleetTargets(1, startFleet(t, "ok"))[0]); r.Outcome != muster.OK || budget.InUse() != 1 {
			t.Errorf("%v, %d open", r.Outcome, budget.InUse())
		}
	})
	if budget.InUse() != 0 {
		t.Errorf("%d sockets still open", budget.InUse())
	}
}

// TestKeptPathsAgree sends several requests to every address of a fleet with every fault, over kept connections.
func TestKeptPathsAgree(t *testing.T) {
	t.Parallel()
	ts := fleetTargets(200, startFleet(t, everyFault))
	env := Env{Timeout: 3 * time.Second}
	spec := HTTP{URL: "/x", BodyLimit: 32 << 10}
	want := probeAll(t.Context(), compile(t, spec, env), ts)
	env.ReuseHint = true
	got := batchAll(t, compile(t, spec, env), numbered(slices.Repeat(ts, 3)), 100)
	for i, g := range got {
		w := want[i%len(ts)]
		if g.Outcome != w.Outcome || g.Failure != w.Failure || g.Code != w.Code || len(g.Body) != len(w.Body) || g.Address != w.Address {
			t.Errorf("%s: kept %v %v %d (%s), fresh %v %v %d (%s)", w.Address, g.Outcome, g.Failure, g.Code, g.Detail, w.Outcome, w.Failure, w.Code, w.Detail)
		}
		if g.Failure != muster.FailReset && g.Reason != w.Reason || g.Transient != w.Transient {
			t.Errorf("%s: kept %+v\nfresh %+v", w.Address, g, w)
		}
	}
}

// TestKeptRequestLargerThanSocket answers before all of the request was taken, after which the connection is of no use.
func TestKeptRequestLargerThanSocket(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	target := serve(t, func(c *net.TCPConn) {
		conns.Add(1)
		thenHang(func(c *net.TCPConn) {
			c.Read(make([]byte, 1))
			c.Write([]byte(okHead + "Content-Length: 2\r\n\r\nhi"))
		})(c)
	})
	p := compile(t, HTTP{Body: strings.Repeat("x", 16<<20), BodyRaw: true}, Env{ReuseHint: true})
	f := &feed{targets: []muster.Target{target, target}, window: 1}
	p.ProbeBatch(t.Context(), f)
	checkAllOK(t, f.results, 2)
	if conns.Load() != 2 {
		t.Errorf("%d connections", conns.Load())
	}
}

// stepFeed hands out groups of targets, each once all of the one before have ended and then was called.
type stepFeed struct {
	feed
	groups [][]muster.Target
	then   func(group int)
	ended  int
}

func (f *stepFeed) Next() (t muster.Target, ok, more bool) {
	for len(f.targets) == 0 && f.open == 0 {
		if f.then != nil && f.ended > 0 {
			f.then(f.ended)
		}
		if f.ended == len(f.groups) {
			return t, false, false
		}
		f.targets = f.groups[f.ended]
		f.ended++
	}
	t, ok, _ = f.feed.Next()
	return t, ok, true
}

// TestIdleEndInTheSameTurn ends a connection between the answer and the next request, with no turn of the loop in
// between to notice it: what must not be repeated is not sent on it.
func TestIdleEndInTheSameTurn(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	answered, closed := make(chan bool, 1), make(chan bool, 1)
	target := serve(t, func(c *net.TCPConn) {
		conns.Add(1)
		answerWith(okHead + "Content-Length: 2\r\n\r\nhi")(c)
		<-answered
		c.CloseWrite()
		closed <- true
		hang(c)
	})
	one := []muster.Target{target}
	f := &stepFeed{groups: [][]muster.Target{one, one, one}, then: func(int) {
		answered <- true
		<-closed
	}}
	compile(t, HTTP{Body: "x"}, Env{ReuseHint: true}).ProbeBatch(t.Context(), f)
	checkAllOK(t, f.results, 3)
	if conns.Load() != 3 {
		t.Errorf("%d connections", conns.Load())
	}
}

// TestStaleGoesToAFreshConnection has two idle connections, both of which the server gives up with the next request:
// one that was lost on the first must not be tried on the second.
func TestStaleGoesToAFreshConnection(t *testing.T) {
	t.Parallel()
	var conns, second atomic.Int32
	both := make(chan bool)
	target := serveCounting(t, &conns, func(_ *net.TCPConn, conn, n int) bool {
		switch {
		case conn == 1 && n == 1:
			<-both
		case conn == 2 && n == 1:
			close(both)
		case conn <= 2:
			second.Add(1)
			return false
		}
		return true
	})
	f := &stepFeed{groups: [][]muster.Target{{target, target}, {target}}}
	compile(t, HTTP{}, Env{ReuseHint: true}).ProbeBatch(t.Context(), f)
	checkAllOK(t, f.results, 3)
	if conns.Load() != 3 || second.Load() != 1 {
		t.Errorf("%d connections, %d requests lost", conns.Load(), second.Load())
	}
}

// TestIdleGiveWayToOthers takes away all descriptors but those of idle connections.
func TestIdleGiveWayToOthers(t *testing.T) {
	t.Parallel()
	budget := &dial.Budget{Limit: 4}
	p := compile(t, HTTP{}, Env{ReuseHint: true, Timeout: idleFor / 4, Dialer: &dial.Dialer{Budget: budget}})
	ts := fleetTargets(3, startFleet(t, "ok"))
	f := &stepFeed{groups: [][]muster.Target{ts[:2], ts[2:]}, then: func(group int) {
		for group == 1 && budget.TryAcquire() {
		}
	}}
	p.ProbeBatch(t.Context(), f)
	checkAllOK(t, f.results, 3)
	if budget.InUse() != 2 {
		t.Errorf("%d in use, 2 are the test's", budget.InUse())
	}
}
