package rollup

import (
	"math"
	"slices"
)

// Numbers summarises a numeric field. It is exact: it keeps every value, 8 bytes each. The
// zero value is empty.
type Numbers struct {
	values []float64
	sorted bool
}

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
	if !math.IsNaN(v) {
		n.values = append(n.values, v)
		n.sorted = false
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
	n.values = append(n.values, o.values...)
	n.sorted = false
}

// Count returns how many numbers there are.
func (n *Numbers) Count() int { return len(n.values) }

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
	if len(n.values) == 0 {
		return 0
	}
	n.sort() // the sum must not depend on the order in which results came
	count, mean := float64(len(n.values)), 0.0
	for _, v := range n.values {
		mean += v / count
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
	if len(n.values) == 0 {
		return 0
	}
	n.sort()
	// The small subtrahend undoes the binary rounding of shares such as 0.9*10.
	rank := int(math.Ceil(q*float64(len(n.values)) - 1e-9))
	return n.values[max(rank, 1)-1]
}

func (n *Numbers) sort() {
	if !n.sorted {
		slices.Sort(n.values)
		n.sorted = true
	}
}
