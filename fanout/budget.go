package fanout

import (
	"math"

	"github.com/musterhq/muster"
)

// budget is the exact error budget: with K tolerated, failures so far f and
// exposed targets x (under way or waiting for a retry), a target may start only
// while x < K+1-f. Then even if all that is exposed fails, failures end at K+1
// and not above, whatever the concurrency.
type budget struct {
	tolerated int // K; -1 is unlimited
	soft      bool
	failures  int
}

func newBudget(p *muster.Plan, n int) budget {
	if p.MaxErrors == nil {
		return budget{tolerated: -1}
	}
	return budget{tolerated: p.MaxErrors.Of(n), soft: p.SoftErrors}
}

// room returns how many targets may be exposed in all.
func (b *budget) room() int {
	if b.tolerated < 0 || (b.soft && !b.spent()) {
		return math.MaxInt
	}
	return max(0, b.tolerated+1-b.failures)
}

func (b *budget) spent() bool { return b.tolerated >= 0 && b.failures > b.tolerated }
