package rollup

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	var n Numbers
	if n.Stats() != (Stats{}) {
		t.Errorf("empty: %+v", n.Stats())
	}
	for i := range 10 {
		n.Add(float64(10 - i))
	}
	n.Add(math.NaN())
	n.AddValue("7")
	n.AddValue(nil)
	want := Stats{Count: 10, Min: 1, Median: 5, P90: 9, P99: 10, Max: 10, Mean: 5.5}
	if got := n.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	n.AddValue(100.0)
	if n.Max() != 100 || n.Median() != 6 {
		t.Errorf("after one more: %+v", n.Stats())
	}
}

func TestNumbersMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(-1e9, 1e9)).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		var whole, a, b Numbers
		for i, v := range values {
			whole.Add(v)
			if i < cut {
				a.Add(v)
			} else {
				b.Add(v)
			}
		}
		b.Merge(&a)
		if got, want := b.Stats(), whole.Stats(); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		// The definition: at least 90 % of all do not exceed it, and it is the least such number.
		if p := whole.P90(); len(values) > 0 {
			at, below := 0, 0
			for _, v := range values {
				if v <= p {
					at++
				}
				if v < p {
					below++
				}
			}
			if 10*at < 9*len(values) || 10*below >= 9*len(values) {
				t.Fatalf("P90 %v: %d of %d at most, %d less", p, at, len(values), below)
			}
		}
	})
}

// A million values of which few are distinct take no memory to speak of, and are as exact.
func TestNumbersOfFewValues(t *testing.T) {
	t.Parallel()
	var n Numbers
	for i := range 100_000 {
		n.Add(float64(i % 1000))
	}
	want := Stats{Count: 100_000, Min: 0, Median: 499, P90: 899, P99: 989, Max: 999, Mean: 499.5}
	if got := n.Stats(); got.Mean < 499.49999 || got.Mean > 499.50001 {
		t.Errorf("mean %v", got.Mean)
	} else if got.Mean = want.Mean; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(n.runs) != 1000 || cap(n.runs) > 4*freshLimit || cap(n.fresh) > 2*freshLimit {
		t.Errorf("%d runs in room for %d, %d fresh values", len(n.runs), cap(n.runs), cap(n.fresh))
	}
}

func TestSlowest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "n")
		parts := []*Slowest{{N: n}, {N: n}}
		var all []Slow
		for i, ms := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 30).Draw(t, "ms") {
			r := muster.Result{Index: i, Target: "t", Timings: muster.Timings{Total: time.Duration(ms) * time.Millisecond}}
			parts[rapid.IntRange(0, 1).Draw(t, "part")].Add(&r)
			if ms > 0 {
				all = append(all, Slow{i, "t", r.Timings.Total})
			}
		}
		parts[0].Merge(parts[1])
		slices.SortFunc(all, func(a, b Slow) int { return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Index, b.Index)) })
		if got, want := parts[0].List(), all[:min(n, len(all))]; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
