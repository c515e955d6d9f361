package fanout

import (
	"testing"
	"time"
)

// calm is a tick in which the window was full and nothing hurt.
func calm() signals {
	return signals{elapsed: tickEvery, ended: 1000, full: true, idle: 0.5, median: 5 * time.Millisecond}
}

func ticks(l *limiter, n int, s func(i int) signals) {
	for i := range n {
		l.tick(s(i))
	}
}

func TestLimiterGrowsToThousandsWithinASecond(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	ticks(&l, 10, func(i int) signals { s := calm(); s.ended = 1000 * (i + 1); return s })
	if l.allowed() < 5000 || l.reason != "adaptive" {
		t.Errorf("limit = %d (%s) after a second, want thousands", l.allowed(), l.reason)
	}
}

func TestLimiterNamesWhatBinds(t *testing.T) {
	t.Parallel()
	with := func(change func(*signals)) signals { s := calm(); change(&s); return s }
	for _, tc := range []struct {
		name   string
		fanout int
		fixed  bool
		s      signals
		want   string
	}{
		{"the plan's own number", 300, false, calm(), "fanout"},
		{"the plan's fixed number", 40, true, calm(), "fanout"},
		{"busy processors", 0, false, with(func(s *signals) { s.idle = 0.01 }), "cpu"},
		{"descriptors", 0, false, with(func(s *signals) { s.sockets, s.socketsWhy = 300, "descriptors" }), "descriptors"},
		{"local errors", 0, false, with(func(s *signals) { s.local, s.localWhy = 3, "ports" }), "ports"},
		{"local errors at a fixed number", 400, true, with(func(s *signals) { s.local, s.localWhy = 3, "ports" }), "ports"},
		{"timeouts", 0, false, with(func(s *signals) { s.timeouts = 300 }), "target timeouts"},
		{"pushback", 0, false, with(func(s *signals) { s.pushbacks = 300 }), "target 429/503"},
		{"a slow store", 0, false, with(func(s *signals) { s.backlog = true }), "store"},
		{"large answers", 0, false, with(func(s *signals) { s.meanBytes = 1 << 20 }), "memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l := newLimiter(tc.fanout, tc.fixed)
			before := l.allowed()
			ticks(&l, 2, func(int) signals { return tc.s })
			if l.reason != tc.want {
				t.Errorf("reason = %q at limit %d (from %d), want %q", l.reason, l.allowed(), before, tc.want)
			}
		})
	}
}

func TestLimiterDoesNotTakeADeadSubnetForCongestion(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	ticks(&l, 60, func(i int) signals { s := calm(); s.ended = 500 + 50*i; s.timeouts = s.ended * 4 / 10; return s })
	if l.allowed() < 2000 {
		t.Errorf("limit = %d after 6 s with a steady 40%% of dead targets, want it to grow", l.allowed())
	}
}

func TestLimiterBacksOffWhileTimeoutsRiseWithTheWindow(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	peak := 0
	ticks(&l, 100, func(int) signals {
		s := calm()
		if n := l.allowed(); n > 1000 { // the network carries 1,000
			s.timeouts = s.ended * (n - 1000) / n
		}
		peak = max(peak, l.allowed())
		return s
	})
	if l.allowed() > 6000 || peak > 10_000 {
		t.Errorf("limit = %d, peak %d, on a network that carries 1,000", l.allowed(), peak)
	}
}

func TestLimiterTakesBackGrowthThatOnlyBuysWaiting(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	ticks(&l, 200, func(int) signals {
		s := calm()
		s.ended = min(s.ended, l.allowed()) // saturates at 1,000 a tick
		s.median = time.Duration(l.allowed()) * time.Millisecond
		return s
	})
	if l.allowed() > 5000 {
		t.Errorf("limit = %d where throughput ends at 1,000 per tick, want it near there", l.allowed())
	}
}

func TestLimiterRecoversFromLocalErrors(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	ticks(&l, 10, func(int) signals { s := calm(); s.local, s.localWhy = 50, "descriptors"; return s })
	low := l.allowed()
	if low > startLimit/4 {
		t.Errorf("limit = %d after a second of local errors", low)
	}
	ticks(&l, 30, func(i int) signals { s := calm(); s.ended = 100 * (i + 1); return s })
	if l.allowed() < 4*low {
		t.Errorf("limit = %d, want it to grow again from %d", l.allowed(), low)
	}
}

func TestLimiterGrowsForSlowTargetsOnABusyMachine(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	ticks(&l, 100, func(int) signals {
		s := calm()
		s.idle, s.ended = 0, l.allowed()/10 // a second each: throughput follows the window
		return s
	})
	if l.allowed() < 4000 {
		t.Errorf("limit = %d after 10 s of slow targets, want thousands", l.allowed())
	}
}

func TestLimiterStaysWhereProcessorsAreTheLimit(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	peak := 0
	ticks(&l, 300, func(int) signals {
		s := calm()
		s.idle, s.ended = 0, 2500
		peak = max(peak, l.allowed())
		return s
	})
	if peak > 2*startLimit || l.reason != "cpu" {
		t.Errorf("limit = %d, peak %d (%s) on busy processors, want it to stay", l.allowed(), peak, l.reason)
	}
}

func TestLimiterRemembersLargeAnswers(t *testing.T) {
	t.Parallel()
	l := newLimiter(0, false)
	large := calm()
	large.meanBytes = 1 << 20
	l.tick(large)
	ticks(&l, 30, func(int) signals { s := calm(); s.ended, s.meanBytes = 0, 0; return s })
	if n := l.allowed(); n > memoryBudget>>20 || l.reason != "memory" {
		t.Errorf("limit = %d (%s) while answers of 1 MiB are under way", n, l.reason)
	}
	ticks(&l, 60, func(i int) signals { s := calm(); s.ended, s.meanBytes = 1000*(i+1), 200; return s })
	if n := l.allowed(); n < 5000 {
		t.Errorf("limit = %d (%s) long after the answers have become small", n, l.reason)
	}
}
