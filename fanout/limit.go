package fanout

import (
	"math"
	"time"
)

// Constants of the adaptive limit. A tick is about 100 ms.
const (
	startLimit  = 256    // enough to be quick, small enough for any network and any descriptor limit
	maxLimit    = 20_000 // no single process gains by more
	floorHurt   = 64     // timeouts and pushback shrink no further: dead targets are no congestion
	floorLocal  = 4      // our own lack of descriptors or ports may need very little
	growth      = 1.5    // per tick: thousands within a second
	shrinkHurt  = 0.7
	shrinkLocal = 0.8
	hurtShare   = 0.05 // of the tick's ends, above what is usual for this fleet
	idleNeeded  = 0.05 // of the processors; below, each step must show that it helps
	holdHurt    = 500 * time.Millisecond
	holdLocal   = time.Second
	holdTrial   = 400 * time.Millisecond // long enough to see what a step has bought
	// latencyFloor is the median below which latency is never a reason: on a busy
	// processor everything takes longer, which says nothing of the target.
	latencyFloor = 250 * time.Millisecond
	// memoryBudget bounds what answers under way may take up together.
	memoryBudget = 192 << 20
)

// signals are what one tick measured.
type signals struct {
	elapsed    time.Duration
	ended      int // attempts that ended in this tick
	timeouts   int // of them: no answer in time
	pushbacks  int // of them: 429 or 503
	local      int // attempts that our own side refused
	localWhy   string
	full       bool    // the limit was what kept more from starting
	backlog    bool    // whoever takes the results is behind
	idle       float64 // share of the processors that was idle
	median     time.Duration
	sockets    int // how many may be open; 0 is no limit
	socketsWhy string
	meanBytes  float64 // of an answer
}

// limiter is the adaptive limit: a pure function of its state and one tick's signals. It
// doubles about every 200 ms while it is what binds and nothing hurts, and
// backs off when timeouts or pushback rise above what is usual for this fleet,
// when our own side runs out of something, or when waiting grows and throughput does not.
type limiter struct {
	cap    int // the plan's; 0 is none
	fixed  bool
	limit  float64
	reason string
	hold   time.Duration // no growth until it is over
	usual  float64       // share of hurt that backing off does not change
	rate   float64       // throughput, smoothed over a few ticks
	best   float64       // throughput at the last growth
	bestAt float64       // limit before the last growth
	lowest time.Duration // least median seen
	bytes  float64       // of an answer; it rises at once and falls slowly
}

func newLimiter(fanout int, fixed bool) limiter {
	l := limiter{cap: fanout, fixed: fixed, limit: startLimit, reason: "adaptive"}
	if fixed {
		l.limit = float64(fanout)
	}
	l.clamp(signals{})
	return l
}

// allowed returns the present limit.
func (l *limiter) allowed() int { return max(1, int(l.limit)) }

// tick takes one tick's signals and moves the limit.
func (l *limiter) tick(s signals) {
	l.hold = max(0, l.hold-s.elapsed)
	switch {
	case s.local > 0:
		// Even a fixed fanout gives way here: what cannot be opened cannot be sent.
		l.shrink(shrinkLocal, floorLocal, holdLocal, s.localWhy)
	case l.fixed:
		l.limit, l.reason = min(float64(l.cap), l.limit*growth), "fanout"
	case l.hurt(s):
		why := "target timeouts"
		if s.pushbacks > s.timeouts {
			why = "target 429/503"
		}
		l.shrink(shrinkHurt, floorHurt, holdHurt, why)
	case !s.full:
		l.learn(s)
	default:
		l.grow(s)
	}
	l.clamp(s)
}

// hurt reports whether the share of timeouts and pushback is above the usual. The
// usual follows the measured share within about two seconds: what stays when the window
// shrinks is the fleet's own state, not a consequence of our load.
func (l *limiter) hurt(s signals) bool {
	if s.ended == 0 {
		return false
	}
	share := float64(s.timeouts+s.pushbacks) / float64(s.ended)
	over := share > l.usual*1.3+hurtShare && s.timeouts+s.pushbacks >= 5
	l.usual += (share - l.usual) * math.Min(1, s.elapsed.Seconds()/0.7)
	return over
}

func (l *limiter) shrink(factor, floor float64, hold time.Duration, why string) {
	if l.hold == 0 || factor == shrinkLocal {
		l.limit = math.Max(math.Min(floor, l.limit), l.limit*factor)
	}
	l.hold, l.reason, l.best = hold, why, 0
}

func (l *limiter) grow(s signals) {
	l.learn(s)
	switch {
	case l.hold > 0:
	case s.backlog:
		l.reason = "store"
	case s.idle < idleNeeded:
		l.try()
	case l.best > 0 && l.rate < l.best*1.02 && s.median > latencyFloor && s.median > 2*l.lowest && l.limit > l.bestAt:
		// The last growth bought waiting, not throughput: take it back and stay.
		l.takeBack("target latency")
	default:
		l.advance("adaptive", 0)
	}
}

// try grows on busy processors: one step at a time, and only as long as each buys throughput.
// Slow targets are worth a larger window on a busy machine too; with fast ones it only
// adds waiting.
func (l *limiter) try() {
	if l.best > 0 && l.rate < l.best*1.05 && l.limit > l.bestAt {
		l.takeBack("cpu")
		return
	}
	l.advance("cpu", holdTrial)
}

func (l *limiter) advance(why string, hold time.Duration) {
	l.best, l.bestAt, l.reason, l.hold = l.rate, l.limit, why, hold
	l.limit *= growth
}

func (l *limiter) takeBack(why string) {
	l.limit, l.hold, l.reason, l.best = l.bestAt, 2*holdLocal, why, 0
}

func (l *limiter) learn(s signals) {
	now := float64(s.ended) / math.Max(s.elapsed.Seconds(), 1e-3)
	if l.rate == 0 {
		l.rate = now
	}
	l.rate += (now - l.rate) / 2
	if s.median > 0 && (l.lowest == 0 || s.median < l.lowest) {
		l.lowest = s.median
	}
}

// clamp applies the limits that are not a matter of adaptation.
func (l *limiter) clamp(s signals) {
	l.atMost(maxLimit, "adaptive")
	if l.cap > 0 {
		l.atMost(l.cap, "fanout")
	}
	if s.sockets > 0 {
		l.atMost(s.sockets, s.socketsWhy)
	}
	if l.weigh(s.meanBytes); l.bytes > 0 {
		l.atMost(max(floorLocal, int(memoryBudget/l.bytes)), "memory")
	}
	l.limit = math.Max(1, l.limit)
}

// weigh takes the mean size of the tick's answers. A tick without answers, or with a few small ones, does
// not forget that large ones are under way.
func (l *limiter) weigh(mean float64) {
	switch {
	case mean > l.bytes:
		l.bytes = mean
	case mean > 0:
		l.bytes += (mean - l.bytes) / 8
	}
}

func (l *limiter) atMost(n int, why string) {
	if l.limit >= float64(n) {
		l.limit, l.reason = float64(n), why
	}
}
