package nodeset

import (
	"math"
	"strconv"
)

// A run is what is printed as one element in brackets: first-last/step.
type run struct {
	first, last, step uint64
	pad               int // 0 without zero padding
}

// runs groups the indexes of spans as ClusterShell prints them. A run is
// contiguous, or, with minSteps, has at least that many equal steps. A run that
// begins with a padded index keeps to its width; one that begins unpadded goes on
// from 9 to 10.
func runs(spans []span, minSteps uint64) []run {
	r := runner{minSteps: minSteps}
	for _, s := range spans {
		for s.lo <= s.hi {
			v, width := unrank(s.lo)
			part := span{v, v + (s.hi - s.lo)}
			part.hi = min(part.hi, pow10[width]-1)
			r.feedAll(part, width)
			s.lo += part.hi - part.lo + 1
		}
	}
	if r.open {
		r.close(r.last)
	}
	return r.out
}

// noSteps as minSteps prints contiguous ranges only.
const noSteps = math.MaxUint64

// A runner reads indexes in order. It is greedy: an index goes to the run before
// it if it can.
type runner struct {
	minSteps    uint64
	out         []run
	open        bool
	start, last uint64
	step        uint64 // 0 while the run is one index
	width       int
	padded      bool
}

// feedAll feeds consecutive indexes of one width. After two of them the run has
// step 1, whatever it was, and the rest only extends it.
func (r *runner) feedAll(s span, width int) {
	r.feed(s.lo, width)
	if s.hi > s.lo {
		r.feed(s.lo+1, width)
		r.last = s.hi
	}
}

func (r *runner) feed(v uint64, width int) {
	padded := width > 1 && v < pow10[width-1]
	switch {
	case !r.open:
		r.begin(v, width, padded)
		return
	case r.padded && width != r.width || !r.padded && padded:
		r.close(r.last)
		r.begin(v, width, padded)
		return
	case r.step != 0 && r.step != v-r.last:
		gap := v - r.last
		if r.isRange() {
			r.close(r.last)
			r.begin(v, width, padded)
		} else {
			r.close(r.last - r.step) // the last index may begin a run
			r.start = r.last
		}
		r.step = gap // after a range too: the distance to it counts as the first step
	default:
		r.step = v - r.last
	}
	r.last = v
}

func (r *runner) begin(v uint64, width int, padded bool) {
	*r = runner{minSteps: r.minSteps, out: r.out, open: true, start: v, last: v, width: width, padded: padded}
}

func (r *runner) isRange() bool {
	return r.step <= 1 || (r.last-r.start)/r.step >= r.minSteps
}

// close ends the run at last: as a range, or index by index.
func (r *runner) close(last uint64) {
	pad := 0
	if r.padded {
		pad = r.width
	}
	if r.isRange() {
		r.out = append(r.out, run{r.start, last, max(r.step, 1), pad})
		return
	}
	for v := r.start; v <= last; v += r.step {
		r.out = append(r.out, run{v, v, 1, pad})
	}
}

func appendRuns(dst []byte, rs []run) []byte {
	for i, r := range rs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendPadded(dst, r.first, r.pad)
		if r.first == r.last {
			continue
		}
		dst = append(dst, '-')
		dst = appendPadded(dst, r.last, r.pad)
		if r.step > 1 {
			dst = append(dst, '/')
			dst = strconv.AppendUint(dst, r.step, 10)
		}
	}
	return dst
}
