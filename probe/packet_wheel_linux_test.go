package probe

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The wheel agrees with a list: each flight is handed out once, not before its time, and in the turn that follows it.
func TestPacketWheelAgreesWithAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var w packetWheel
		flights := make([]packetFlight, 20)
		due := map[*packetFlight]time.Duration{}
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			f := &flights[rapid.IntRange(0, len(flights)-1).Draw(t, "flight")]
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0, 1:
				due[f] = now + time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms"))*time.Millisecond
				w.set(f, due[f])
			case 2:
				delete(due, f)
				w.stop(f)
			case 3:
				now += time.Duration(rapid.IntRange(0, 9000).Draw(t, "pass")) * time.Millisecond
				w.advance(now, func(f *packetFlight) {
					if at, ok := due[f]; !ok || at > now {
						t.Fatalf("handed out at %v, due at %v (%v)", now, at, ok)
					}
					delete(due, f)
				})
			}
			next, some := w.next()
			for f, at := range due {
				if !f.timer.on || at < now-wheelTick {
					t.Fatalf("due at %v, and not handed out by %v", at, now)
				}
				if next > at+2*wheelTick && next > now+wheelTick {
					t.Fatalf("next look at %v, one is due at %v", next, at)
				}
			}
			if some != (len(due) > 0) {
				t.Fatalf("next says %v of %d", some, len(due))
			}
		}
	})
}
