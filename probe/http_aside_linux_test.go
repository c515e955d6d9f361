package probe

import (
	"context"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// TestAsideDoesWhatALoopDoes drives targets without an event loop, under a window.
func TestAsideDoesWhatALoopDoes(t *testing.T) {
	t.Parallel()
	f := &feed{targets: fleetTargets(200, startFleet(t, "ok")), window: 20}
	probeAside(t.Context(), compile(t, HTTP{}, Env{}), f)
	if len(f.results) != 200 || f.peak != 20 {
		t.Fatalf("%d results, %d in flight", len(f.results), f.peak)
	}
	for _, r := range f.results {
		if r.Outcome != muster.OK || f.byIndex[r.Index] != 1 {
			t.Errorf("target %d: %v %v (%s), reported %d times", r.Index, r.Outcome, r.Failure, r.Detail, f.byIndex[r.Index])
		}
	}
}

// TestAsideCancel aborts what hangs, and waits for all of it.
func TestAsideCancel(t *testing.T) {
	t.Parallel()
	const n = 50
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{targets: fleetTargets(n, startFleet(t, "hang"))}
	p := compile(t, HTTP{}, Env{Timeout: time.Minute, ConnectTimeout: time.Minute})
	begun := time.Now()
	probeAside(ctx, p, f.wakeAfterLast(cancel))
	if len(f.results) != n || time.Since(begun) > 10*time.Second {
		t.Fatalf("%d results after %v", len(f.results), time.Since(begun))
	}
	for _, r := range f.results {
		if r.Outcome != muster.Canceled {
			t.Errorf("%v %v: %s", r.Outcome, r.Failure, r.Detail)
		}
	}
}
