package rollup

import (
	"cmp"
	"slices"
	"time"

	"github.com/musterhq/muster"
)

// Slowest keeps the N results whose last attempt took longest. The zero value keeps none.
type Slowest struct {
	N int

	top []Slow // the slowest first
}

// Slow is one of the slowest results.
type Slow struct {
	Index  int
	Target string
	Total  time.Duration
}

// Add takes r into account. A result without an attempt has no time and is ignored.
func (s *Slowest) Add(r *muster.Result) {
	if r.Timings.Total > 0 {
		s.add(Slow{r.Index, r.Target, r.Timings.Total})
	}
}

// Merge adds what o kept, which stays as it is.
func (s *Slowest) Merge(o *Slowest) {
	for _, slow := range o.top {
		s.add(slow)
	}
}

func (s *Slowest) add(slow Slow) {
	if len(s.top) >= s.N && (s.N <= 0 || slower(s.top[s.N-1], slow) <= 0) {
		return
	}
	at, _ := slices.BinarySearchFunc(s.top, slow, slower)
	s.top = slices.Insert(s.top, at, slow)
	s.top = s.top[:min(len(s.top), s.N)]
}

// slower orders by time, the longest first, and then by index.
func slower(a, b Slow) int {
	return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Index, b.Index))
}

// List returns the results, the slowest first, those of one length by index.
func (s *Slowest) List() []Slow { return slices.Clone(s.top) }
