package rollup

import (
	"math"
	"slices"
)

// Numbers summarises a numeric field. It is exact: it keeps every distinct value and how often it came, 16 bytes
// each, so that counts and rounded times of a million targets take little. The zero value is empty.
type Numbers struct {
	count int
	runs  []run     // by value
	fresh []float64 // not yet among the runs
}

// run is a value and how often it came.
type run struct {
	value float64
	n     int
}

// freshLimit is how many values wait at least until they are sorted in; a longer list of runs lets more wait.
const freshLimit = 4096

// Stats is a summary of numbers; all zero when there are none.
type Stats struct {
	Count  int     `json:"count"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
}

// Add adds a number. NaN is none and is ignored.
func (n *Numbers) Add(v float64) {
	if math.IsNaN(v) {
		return
	}
	n.count++
	if n.fresh = append(n.fresh, v); len(n.fresh) >= max(freshLimit, len(n.runs)/4) {
		n.settle()
	}
}

// AddValue adds an extracted value if it is a number.
func (n *Numbers) AddValue(v any) {
	if f, ok := v.(float64); ok {
		n.Add(f)
	}
}

// Merge adds all numbers of o, which stays as it is.
func (n *Numbers) Merge(o *Numbers) {
	n.count += o.count
	n.runs = mergeRuns(n.runs, o.runs)
	n.fresh = append(n.fresh, o.fresh...)
}

// Count returns how many numbers there are.
func (n *Numbers) Count() int { return n.count }

// Min returns the least number, 0 when there are none.
func (n *Numbers) Min() float64 { return n.quantile(0) }

// Median returns the middle number, the lower one of two.
func (n *Numbers) Median() float64 { return n.quantile(0.5) }

// P90 returns the least number that 90 % of all do not exceed.
func (n *Numbers) P90() float64 { return n.quantile(0.9) }

// P99 returns the least number that 99 % of all do not exceed.
func (n *Numbers) P99() float64 { return n.quantile(0.99) }

// Max returns the greatest number.
func (n *Numbers) Max() float64 { return n.quantile(1) }

// Mean returns the arithmetic mean.
func (n *Numbers) Mean() float64 {
	n.settle() // the sum must not depend on the order in which results came
	mean := 0.0
	for _, r := range n.runs {
		mean += r.value / float64(n.count) * float64(r.n)
	}
	return mean
}

// Stats returns the whole summary.
func (n *Numbers) Stats() Stats {
	return Stats{
		Count: n.Count(), Min: n.Min(), Median: n.Median(), P90: n.P90(), P99: n.P99(), Max: n.Max(), Mean: n.Mean(),
	}
}

// quantile is the nearest-rank quantile: the value at rank ceil(q*count), from 1.
func (n *Numbers) quantile(q float64) float64 {
	if n.count == 0 {
		return 0
	}
	n.settle()
	// The small subtrahend undoes the binary rounding of shares such as 0.9*10.
	rank := max(int(math.Ceil(q*float64(n.count)-1e-9)), 1)
	for _, r := range n.runs {
		if rank -= r.n; rank <= 0 {
			return r.value
		}
	}
	return n.runs[len(n.runs)-1].value
}

// settle sorts the fresh values into the runs.
func (n *Numbers) settle() {
	if len(n.fresh) == 0 {
		return
	}
	slices.Sort(n.fresh)
	var runs []run
	for _, v := range n.fresh {
		if last := len(runs) - 1; last >= 0 && runs[last].value == v {
			runs[last].n++
		} else {
			runs = append(runs, run{v, 1})
		}
	}
	n.runs, n.fresh = mergeRuns(n.runs, runs), n.fresh[:0]
}

// mergeRuns returns the runs of both, which stay as they are.
func mergeRuns(a, b []run) []run {
	merged := make([]run, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].value < b[0].value:
			merged, a = append(merged, a[0]), a[1:]
		case b[0].value < a[0].value:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged = append(merged, run{a[0].value, a[0].n + b[0].n})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(merged, a...), b...)
}
