package fanout

import (
	"math"
	"time"

	"github.com/musterhq/muster"
)

// Status is a run at one moment.
type Status struct {
	// Ledger counts what has ended so far.
	Ledger muster.Ledger
	// InFlight is how many attempts are under way, Waiting how many targets wait for a retry.
	InFlight, Waiting int
	// Limit is the present window; Reason names what keeps it from being larger, or
	// what else holds the job back ("rate", "error budget", "per-host", "cpu", "store", …).
	Limit  int
	Reason string
	// Rate is targets ended per second over the last few seconds.
	Rate float64
	// ETA is how long the rest takes at that rate; 0 is unknown.
	ETA time.Duration
	// Elapsed is the time since the start.
	Elapsed time.Duration
	// Paused says that nothing starts until Resume.
	Paused bool
	// Stop says why nothing new starts any more; "" while it does.
	Stop string
}

// Status returns how the run stands. It may be called at any time by any goroutine.
func (r *Run) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.w
	s := Status{
		Ledger: w.ledger, InFlight: w.inflight, Waiting: w.retries.len(), Limit: w.limit.allowed(),
		Reason: w.blocked, Rate: r.rate, Paused: w.paused, Stop: w.stop,
	}
	if s.Reason == "" {
		s.Reason = w.limit.reason
	}
	if !r.started.IsZero() {
		s.Elapsed = time.Since(r.started)
	}
	if left := s.Ledger.Targets - s.Ledger.Ended(); left > 0 && s.Rate > 0 {
		s.ETA = time.Duration(float64(left) / s.Rate * float64(time.Second))
	}
	return s
}

// measure keeps the rate as an average that forgets within a few seconds; the caller
// holds r.mu.
func (r *Run) measure(elapsed time.Duration) {
	ended := r.w.ledger.Ended()
	now := float64(ended-r.endedBefore) / elapsed.Seconds()
	r.endedBefore = ended
	if r.rate == 0 {
		r.rate = now
		return
	}
	r.rate += (now - r.rate) * (1 - math.Exp(-elapsed.Seconds()/2))
}
