package fanout

import "time"

// pacer spaces attempts to a rate. It is pure: time comes in as an argument.
// Unused credit is kept for at most maxCredit, so that a pause is not followed by a
// burst that a peer would call an attack.
type pacer struct {
	interval time.Duration // between two attempts; 0 is no limit
	next     time.Time     // earliest start of the next attempt
}

// maxCredit is one timer tick of slack: without it, a timer that fires late would lower
// the rate for good.
const maxCredit = 20 * time.Millisecond

func newPacer(rate float64) pacer {
	if rate <= 0 {
		return pacer{}
	}
	return pacer{interval: time.Duration(float64(time.Second) / rate)}
}

// wait returns how long to wait before the next attempt; 0 is now.
func (p *pacer) wait(now time.Time) time.Duration {
	if p.interval == 0 || !p.next.After(now) {
		return 0
	}
	return p.next.Sub(now)
}

// take accounts for an attempt that starts now.
func (p *pacer) take(now time.Time) {
	if p.interval == 0 {
		return
	}
	if floor := now.Add(-maxCredit); p.next.Before(floor) {
		p.next = floor
	}
	p.next = p.next.Add(p.interval)
}
