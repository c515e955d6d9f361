package fanout

import (
	"slices"
	"time"
)

// reservoir keeps every so many-th of a tick's latencies, for their median: exact
// figures are in the results, the limiter needs only the order of magnitude.
type reservoir struct {
	seen, n int
	kept    [64]time.Duration
}

func (r *reservoir) add(d time.Duration) {
	if r.seen++; r.seen&7 == 1 || r.n < 8 {
		r.kept[r.n%len(r.kept)] = d
		r.n++
	}
}

// median returns 0 when nothing was seen.
func (r *reservoir) median() time.Duration {
	k := r.kept[:min(r.n, len(r.kept))]
	if len(k) == 0 {
		return 0
	}
	slices.Sort(k)
	return k[len(k)/2]
}
