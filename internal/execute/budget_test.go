package execute

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// failing are the behaviours that use up a budget, by the last octet of the addresses that have them:
// answers and failures, some of which are tried again.
var failing = map[byte]string{
	3: "slow:2ms+status:503", 13: "slow:9ms+reset", 23: "slow:5ms+close-early", 33: "garbage",
	43: "slow:1ms+status:500", 53: "reset:accept", 63: "slow:30ms+close-before", 73: "conflict",
}

// shaky is a fleet in which one address in ten fails.
func shaky(t testing.TB) *sim.Server {
	t.Helper()
	var text strings.Builder
	for octet, b := range failing {
		text.WriteString(fmt.Sprintf("*.*.*.%d=%s\n", octet, b))
	}
	return fleet(t, sim.Fleet{Rules: rules(t, text.String()+"*=slow:5ms")})
}

// TestErrorBudgetIsExactAtTheFarEnd stops jobs at many budgets over the network, hundreds at once, in
// many orders: the failing targets that the fleet saw are those of the ledger, tolerated plus one.
func TestErrorBudgetIsExactAtTheFarEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tolerated, retries int
		reuse              bool
		seeds              uint64
	}{
		{tolerated: 0, seeds: 6},
		{tolerated: 1, seeds: 4, reuse: true},
		{tolerated: 7, retries: 2, seeds: 4},
		{tolerated: 40, seeds: 3},
		{tolerated: 150, retries: 1, seeds: 1, reuse: true},
		{tolerated: 520, retries: 1, seeds: 1},
	} {
		for seed := range tc.seeds {
			t.Run(fmt.Sprintf("%d tolerated, %d retries, seed %d", tc.tolerated, tc.retries, seed), func(t *testing.T) {
				p := muster.Plan{
					Fanout: 600, FanoutFixed: true, MaxErrors: &muster.Size{N: tc.tolerated}, Timeout: 20000 * millisecond,
					Retries: tc.retries, Backoff: 5 * millisecond, Shuffle: true, Seed: seed,
				}
				s := shaky(t)
				w := compiled(t, `{"url":"/"}`, p, Surroundings{FewHosts: tc.reuse})
				stopAtBudget(t, s, w, tc.tolerated, tc.retries)
			})
		}
	}
}

func stopAtBudget(t *testing.T, s *sim.Server, w *Work, tolerated, retries int) {
	t.Helper()
	j := begin(t, w, frozen(t, "127.30.[0-79].[1-80]:"+s.Port()), nil)
	ends := j.wait(t)
	led := j.Status().Ledger
	if state, why := j.End(); led.Spent() != tolerated+1 || state != muster.StateStopped || why != "error budget" {
		t.Errorf("%d failures, ended %s (%s), want exactly %d: %s", led.Spent(), state, why, tolerated+1, &led)
	}
	healthy, broken := 0, 0
	for h := range s.EachHits {
		if failing[h.Addr.Addr().As4()[3]] == "" {
			healthy++
			continue
		}
		broken++
		if int(h.Connections) > retries+1 {
			t.Errorf("%v was hit %d times with %d retries", h.Addr, h.Connections, retries)
		}
	}
	if broken != tolerated+1 || healthy != led.Count(muster.OK) {
		t.Errorf("the fleet saw %d failing and %d healthy addresses; the ledger says %s", broken, healthy, &led)
	}
	if led.Count(muster.NotAttempted) != len(ends)-broken-healthy {
		t.Errorf("%d targets were not touched; the ledger says %s", len(ends)-broken-healthy, &led)
	}
}

// TestSoftBudgetKeepsTheWindowOpen trades the exactness for speed, and still stops.
func TestSoftBudgetKeepsTheWindowOpen(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=slow:20ms+status:500")})
	p := muster.Plan{Fanout: 500, FanoutFixed: true, MaxErrors: &muster.Size{N: 3}, SoftErrors: true}
	j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{}), frozen(t, "127.31.[0-19].[1-200]:"+s.Port()), nil)
	j.wait(t)
	led := j.Status().Ledger
	if n := led.Spent(); n < 4 || n > 1000 || s.Stats().Requests != uint64(n) {
		t.Errorf("the fleet saw %d requests; the ledger says %s", s.Stats().Requests, &led)
	}
	if led.Spent() < 50 {
		t.Errorf("%d in flight at the stop: the window was not open", led.Spent())
	}
}
