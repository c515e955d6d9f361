package fanout

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"github.com/musterhq/muster"
)

// waiting is a target between two attempts.
type waiting struct {
	due  time.Time
	t    muster.Target
	last muster.Result // of the attempt before, reported if there is no further one
	tries
}

// tries counts what a target has had so far.
type tries struct {
	attempts int       // that reached the network
	bounces  int       // that our own side refused before anything was sent
	first    time.Time // of the first bounce of this attempt
}

// retryHeap orders targets by when they are due.
type retryHeap []waiting

func (h retryHeap) Len() int           { return len(h) }
func (h retryHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h retryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *retryHeap) Push(x any) { *h = append(*h, x.(waiting)) }

// Pop is for package heap.
func (h *retryHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = waiting{}
	*h = old[:len(old)-1]
	return w
}

func (h *retryHeap) push(w waiting) { heap.Push(h, w) }
func (h *retryHeap) pop() waiting   { return heap.Pop(h).(waiting) }

// backoff returns the pause before retry n (from 1): base doubled n-1 times, capped
// by MaxBackoff, and spread by half to both sides so that targets which failed together
// do not come back together.
func backoff(base time.Duration, n int) time.Duration {
	if base <= 0 {
		base = muster.DefaultBackoff
	}
	d := math.Min(float64(base)*math.Exp2(float64(n-1)), float64(muster.MaxBackoff))
	return time.Duration(d * (0.5 + rand.Float64()))
}

// bounceBackoff is the pause before a target that our own side refused is tried
// again: short, for descriptors and ports come back within milliseconds.
func bounceBackoff(n int) time.Duration {
	d := math.Min(float64(20*time.Millisecond)*math.Exp2(float64(n-1)), float64(time.Second))
	return time.Duration(d * (0.5 + rand.Float64()))
}
