package execute

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/internal/sim"
)

// many is more targets than any of these tests comes to.
const many = 1 << 16

// throttle is one way to hold a job back.
type throttle struct {
	reason string
	plan   muster.Plan
	fleet  string // its rules
	params string
	one    bool // all targets are one host
	// turn, unless nil, is what happens once the job is well under way.
	turn func(t *testing.T, s *sim.Server, j *job)
	// least is the least limit to which the reason may lead; 0 is not looked at.
	least int
}

const slowly = "*=slow:20ms"

var throttles = []throttle{
	{reason: "fanout", plan: muster.Plan{Fanout: 40}, fleet: slowly},
	{reason: "fanout", plan: muster.Plan{Fanout: 40, FanoutFixed: true}, fleet: slowly},
	{reason: "rate", plan: muster.Plan{Rate: 300}, fleet: slowly},
	{reason: "per-host", plan: muster.Plan{PerHost: 10}, fleet: slowly, one: true},
	{reason: "per-host", fleet: slowly, one: true}, // the default cap
	{reason: "per-group rack", plan: muster.Plan{PerGroup: []muster.GroupCap{{Label: "rack", Max: 10}}}, fleet: slowly},
	{reason: "error budget", plan: muster.Plan{MaxErrors: &muster.Size{N: 20}}, fleet: slowly},
	{reason: "batch", plan: muster.Plan{Batches: []muster.Size{{N: 20}}}, fleet: slowly},
	{reason: "canary", plan: muster.Plan{Canary: muster.Size{N: 20}}, fleet: "*=hang"},
	{reason: "target 429/503", fleet: slowly, turn: turnTo("*=slow:20ms+status:503"), least: 32},
	{reason: "target 429/503", fleet: slowly, turn: turnTo("*=slow:20ms+status:429"), least: 32},
	{reason: "target timeouts", plan: muster.Plan{Timeout: 400 * millisecond}, fleet: slowly, turn: turnTo("*=hang"), least: 32},
	{reason: "memory", plan: muster.Plan{Timeout: 600_000 * millisecond}, fleet: "*=slow:20ms+oversized:2M", params: `{"url":"/","body_limit":4194304}`},
	{reason: "paused", fleet: slowly, turn: func(_ *testing.T, _ *sim.Server, j *job) { j.Pause() }},
	{reason: "cpu", fleet: slowly, turn: spin},
}

func turnTo(text string) func(*testing.T, *sim.Server, *job) {
	return func(t *testing.T, s *sim.Server, _ *job) {
		if err := s.SetRules(rules(t, text)); err != nil {
			t.Error(err)
		}
	}
}

// spin keeps every processor busy until the test ends.
func spin(t *testing.T, _ *sim.Server, _ *job) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				sha256.Sum256(make([]byte, 4096))
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// TestLimitSaysWhy causes each reason that a fleet, a plan or the machine can give, over the network.
func TestLimitSaysWhy(t *testing.T) {
	t.Parallel()
	for i, tc := range throttles {
		t.Run(fmt.Sprintf("%s %d", tc.reason, i), func(t *testing.T) { tc.bite(t) })
	}
}

func (tc *throttle) bite(t *testing.T) {
	s := fleet(t, sim.Fleet{Rules: rules(t, tc.fleet)})
	params := tc.params
	if params == "" {
		params = `{"url":"/"}`
	}
	j := begin(t, compiled(t, params, tc.plan, Surroundings{}), crowd{n: many, port: s.Addr().Port(), one: tc.one}, forget)
	if tc.turn != nil {
		j.until(t, "a good start", func(s fanout.Status) bool { return s.Ledger.Ended() > 300 })
		tc.turn(t, s, j)
	}
	st := j.until(t, tc.reason, func(s fanout.Status) bool { return s.Reason == tc.reason })
	if st.Limit < tc.least {
		t.Errorf("limit = %d by %s, want %d or more", st.Limit, st.Reason, tc.least)
	}
	j.cancel()
	<-j.ended
	if led := j.Status().Ledger; !led.Closed() {
		t.Errorf("ledger = %s", &led)
	}
}

// forget drops a batch's results.
func forget([]muster.Result) []muster.Result { return nil }

// TestSlowReaderIsNamedAndBounded lets nobody take results while large ones come in.
func TestSlowReaderIsNamedAndBounded(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=oversized:900k")})
	release := make(chan struct{})
	take := sync.OnceFunc(func() {
		select {
		case <-release:
		case <-t.Context().Done():
		}
	})
	// What is in flight when the reader is found slow still comes in.
	w := compiled(t, `{"url":"/"}`, muster.Plan{Fanout: 32}, Surroundings{})
	j := begin(t, w, frozen(t, "127.41.[0-3].[1-100]:"+s.Port()), func(rs []muster.Result) []muster.Result {
		take()
		return rs
	})
	st := j.until(t, "the store as the reason", func(s fanout.Status) bool { return s.Reason == "store" && s.InFlight == 0 })
	if st.Ledger.Ended() >= 400 {
		t.Error("all targets were done while nobody took a result")
	}
	close(release)
	j.wait(t)
	if led := j.Status().Ledger; led.Count(muster.OK) != 400 || s.Stats().Requests != 400 {
		t.Errorf("ledger = %s; the fleet counted %d", &led, s.Stats().Requests)
	}
}

// TestSlowJournalIsNamed holds back the record that must be durable before a request is sent.
func TestSlowJournalIsNamed(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{})
	release := make(chan struct{})
	reserve := func(ctx context.Context, indexes []int) error {
		if indexes[0] == 0 {
			return nil
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	w := compiled(t, `{"url":"/","method":"POST"}`, muster.Plan{}, Surroundings{})
	j := beginReserved(t, w, frozen(t, "127.42.[0-3].[1-100]:"+s.Port()), reserve)
	j.until(t, "the store as the reason", func(s fanout.Status) bool { return s.Reason == "store" && s.Ledger.Ended() > 0 })
	close(release)
	j.wait(t)
}
