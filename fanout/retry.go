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

// waitroom holds targets between two attempts: until they are due, and then, if a cap is full, until
// it has room, so that one host at its cap does not hold up the others. The zero value is empty.
type waitroom struct {
	heap  retryHeap
	held  parking[waiting]
	bytes int // of the bodies of last results
}

func (r *waitroom) len() int { return len(r.heap) + r.held.n }

// full reports whether nothing new should start before some of it has ended: memory is bounded by
// the plan, not by how many targets fail.
func (r *waitroom) full() bool { return r.len() >= maxPending || r.bytes >= maxPendingBytes }

func (r *waitroom) push(w waiting) {
	r.bytes += len(w.last.Body)
	heap.Push(&r.heap, w)
}

// take returns a target that is due and within the caps; otherwise when the next one is due, zero
// for none.
func (r *waitroom) take(now time.Time, c *caps) (w waiting, ok bool, due time.Time) {
	for from, w, ok := r.held.pop(); ok; from, w, ok = r.held.pop() {
		if key := c.blocked(&w.t); key != (capKey{}) {
			r.held.repark(from, key, w)
			continue
		}
		r.bytes -= len(w.last.Body)
		return w, true, due
	}
	for len(r.heap) > 0 {
		if r.heap[0].due.After(now) {
			return w, false, r.heap[0].due
		}
		w = heap.Pop(&r.heap).(waiting)
		if key := c.blocked(&w.t); key != (capKey{}) {
			r.held.push(key, w)
			continue
		}
		r.bytes -= len(w.last.Body)
		return w, true, due
	}
	return waiting{}, false, due
}

// drain empties the room, yielding what was in it.
func (r *waitroom) drain(yield func(waiting) bool) {
	all := r.heap
	for w := range r.held.drain {
		all = append(all, w)
	}
	*r = waitroom{}
	for _, w := range all {
		if !yield(w) {
			return
		}
	}
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
