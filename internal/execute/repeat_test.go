package execute

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// record is a durable record in memory.
type record struct {
	mu       sync.Mutex
	reserved map[int]int // how often each target was
	wrong    string
}

// reserve notes targets, and whether the fleet has seen any of them before it was allowed to.
func (r *record) reserve(s *sim.Server, list muster.List) func(context.Context, []int) error {
	return func(_ context.Context, indexes []int) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(indexes) == 0 || len(indexes) > 64 {
			r.wrong = fmt.Sprintf("%d targets in one record", len(indexes))
		}
		for _, i := range indexes {
			r.reserved[i]++
			t, err := list.At(i)
			if err != nil {
				return err
			}
			if hits := s.Hits(netipPort(t)); int(hits.Connections) >= r.reserved[i] {
				r.wrong = fmt.Sprintf("target %d was connected to %d times at its reservation %d", i, hits.Connections, r.reserved[i])
			}
		}
		return nil
	}
}

// TestNeverIsNeverSentTwice POSTs to servers that break off after they have read the request, with
// retries that must not be used.
func TestNeverIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	const text = `
		127.64.0.0/28=reset
		127.64.0.16/28=reset:body
		127.64.0.32/28=close-before
		127.64.0.48/28=close-early
		127.64.0.64/28=status:503
		127.64.0.80/28=hang
		127.64.0.96/28=reset:accept
		127.64.0.112/28=close-before:accept`
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := fleet(t, sim.Fleet{Rules: rules(t, text), Listen: []string{":0"}, TLS: []string{":0"}})
			list := crowd{n: 150, port: s.Addr().Port()}
			params := map[string]any{"url": "/order", "method": "POST", "body": "one"}
			maps.Copy(params, w.params)
			if params["scheme"] == "https" {
				list.port = s.TLSAddr().Port()
			}
			p := muster.Plan{Retries: 4, Backoff: 5 * millisecond, Timeout: 2000 * millisecond, Fanout: 60}
			rec := record{reserved: map[int]int{}}
			work := compiled(t, with(t, params), p, Surroundings{FewHosts: w.reuse})
			if work.Repeat() != muster.RepeatNever {
				t.Fatalf("repeat = %q for a POST", work.Repeat())
			}
			j := beginReserved(t, work, list, rec.reserve(s, list))
			for i, r := range j.wait(t) {
				hits := s.Hits(r.Address)
				if hits.Requests > 1 || r.Sent && r.Attempts != rec.reserved[i] {
					t.Errorf("%s: sent %d times; %d attempts, reserved %d times: %s %s (%s)",
						r.Target, hits.Requests, r.Attempts, rec.reserved[i], r.Outcome, r.Failure, r.Reason)
				}
				if got := int(hits.Connections); got != r.Attempts || rec.reserved[i] != r.Attempts {
					t.Errorf("%s: connected to %d times, %d attempts, reserved %d times", r.Target, got, r.Attempts, rec.reserved[i])
				}
			}
			if rec.wrong != "" {
				t.Error(rec.wrong)
			}
			if led := j.Status().Ledger; led.Count(muster.OK) == 0 || led.ByFailure[muster.FailReset] < 16 {
				t.Errorf("ledger = %s", &led)
			}
		})
	}
}

// TestNeverIsTriedAgainWhileNothingWasSent retries refused connections, each time with a reservation.
func TestNeverIsTriedAgainWhileNothingWasSent(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{})
	for _, reuse := range []bool{false, true} {
		// Nobody listens on port 1, and nobody gets it without asking for it.
		list := crowd{n: 150, port: 1}
		rec := record{reserved: map[int]int{}}
		p := muster.Plan{Retries: 2, Backoff: 2 * millisecond}
		w := compiled(t, `{"url":"/","method":"POST"}`, p, Surroundings{FewHosts: reuse})
		j := beginReserved(t, w, list, rec.reserve(s, list))
		for i, r := range j.wait(t) {
			if r.Failure != muster.FailRefused || r.Attempts != 3 || rec.reserved[i] != 3 {
				t.Fatalf("%s: %s %s after %d attempts, reserved %d times; want 3", r.Target, r.Outcome, r.Failure, r.Attempts, rec.reserved[i])
			}
		}
		if rec.wrong != "" {
			t.Error(rec.wrong)
		}
	}
}

// TestSafeIsTriedAgain has targets that fail at first, and a GET that may be repeated.
func TestSafeIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=warmup:2")})
	p := muster.Plan{Retries: 3, Backoff: 2 * millisecond}
	list := crowd{n: 300, port: s.Addr().Port()}
	j := begin(t, compiled(t, `{"url":"/"}`, p, Surroundings{}), list, nil)
	for _, r := range j.wait(t) {
		if hits := s.Hits(r.Address); r.Outcome != muster.OK || r.Attempts != 3 || hits.Requests != 3 {
			t.Fatalf("%s: %s after %d attempts; the fleet counted %d", r.Target, r.Outcome, r.Attempts, hits.Requests)
		}
	}
}

// TestRecordThatBreaksSendsNothingMore stops a job whose durable record fails.
func TestRecordThatBreaksSendsNothingMore(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Rules: rules(t, "*=slow:10ms")})
	list := crowd{n: 1000, port: s.Addr().Port()}
	var promised int
	reserve := func(_ context.Context, indexes []int) error {
		if promised >= 128 {
			return fmt.Errorf("disk full")
		}
		promised += len(indexes)
		return nil
	}
	j := beginReserved(t, compiled(t, `{"url":"/","method":"POST"}`, muster.Plan{}, Surroundings{}), list, reserve)
	j.wait(t)
	led := j.Status().Ledger
	if n := led.Count(muster.OK); n == 0 || n > promised || s.Stats().Requests != uint64(n) || n+led.Count(muster.NotAttempted) != 1000 {
		t.Errorf("%d reserved, the fleet counted %d; ledger = %s", promised, s.Stats().Requests, &led)
	}
	if state, why := j.End(); state != muster.StateStopped || why != "journal: disk full" {
		t.Errorf("ended %s (%s)", state, why)
	}
}
