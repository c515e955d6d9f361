package execute

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/internal/sim"
)

// patience bounds every wait for an event, on a busy machine too.
const patience = 30 * time.Second

const millisecond = muster.Duration(time.Millisecond)

// rules parses a fleet's rules.
func rules(t testing.TB, text string) sim.Rules {
	t.Helper()
	rs, err := sim.ParseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// compiled compiles an HTTP job for the duration of the test.
func compiled(t testing.TB, with string, p muster.Plan, s Surroundings) *Work {
	t.Helper()
	w, err := Compile(spec(with, p), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// job is a run whose results are collected while the test looks at it.
type job struct {
	*fanout.Run
	list   muster.List
	cancel context.CancelFunc
	ended  chan struct{}

	results []muster.Result // after ended
	// take returns which results of a batch are kept; nil keeps all.
	take func([]muster.Result) []muster.Result
}

// begin starts w over l. It is canceled with the test.
func begin(t testing.TB, w *Work, l muster.List, take func([]muster.Result) []muster.Result) *job {
	t.Helper()
	return collect(t, w.Start(l, nil), l, take)
}

// beginReserved is begin with a durable record.
func beginReserved(t testing.TB, w *Work, l muster.List, reserve func(context.Context, []int) error) *job {
	t.Helper()
	return collect(t, w.Start(l, reserve), l, nil)
}

func collect(t testing.TB, r *fanout.Run, l muster.List, take func([]muster.Result) []muster.Result) *job {
	t.Helper()
	j := &job{Run: r, list: l, ended: make(chan struct{}), take: take}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	j.cancel = cancel
	t.Cleanup(func() {
		cancel()
		<-j.ended
	})
	go func() {
		defer close(j.ended)
		for batch := range j.Batches(ctx) {
			if take != nil {
				batch = take(batch)
			}
			j.results = append(j.results, batch...)
		}
	}()
	return j
}

// until waits for a state of the run that must come about.
func (j *job) until(t testing.TB, what string, ok func(fanout.Status) bool) fanout.Status {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	seen := map[string]int{}
	for {
		s := j.Status()
		if ok(s) {
			return s
		}
		seen[s.Reason]++
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s did not come about; reasons seen: %v; status %+v", what, seen, s)
		}
	}
}

// wait returns the results by index once the run has ended, having checked its account.
func (j *job) wait(t testing.TB) []muster.Result {
	t.Helper()
	select {
	case <-j.ended:
	case <-time.After(2 * patience):
		t.Fatalf("the run does not end: %+v", j.Status())
	}
	return closed(t, j.Status().Ledger, j.results)
}

// closed checks that there is exactly one result of each target and that the ledger says what they
// say, and returns them by index.
func closed(t testing.TB, claim muster.Ledger, results []muster.Result) []muster.Result {
	t.Helper()
	slices.SortFunc(results, func(a, b muster.Result) int { return a.Index - b.Index })
	sum := muster.Ledger{Targets: len(results)}
	for i := range results {
		if results[i].Index != i {
			t.Fatalf("result %d is of target %d: one is missing or twice there", i, results[i].Index)
		}
		sum.Add(&results[i])
	}
	if !claim.Closed() || sum != claim {
		t.Fatalf("ledger = %s; the results say %s", &claim, &sum)
	}
	return results
}

// with writes parameters of the HTTP probe.
func with(t testing.TB, params map[string]any) string {
	t.Helper()
	b, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
