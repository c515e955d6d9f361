package fanout

import (
	"github.com/musterhq/muster"
	"github.com/musterhq/muster/permute"
)

// canarySalt separates the canary's sample from the shuffle of the same seed.
const canarySalt = 0x6d75737465722d63

// order is the sequence in which target numbers are taken: the canary's seeded
// sample first, then the rest as given or shuffled. It needs no memory of the list.
type order struct {
	n       int
	canary  int // how many come first
	sample  permute.Perm
	shuffle *permute.Perm
	pos     int // of the canary while pos < canary, then canary + position in the whole list
}

func newOrder(p *muster.Plan, n int) order {
	o := order{n: n}
	if c := p.Canary.Of(n); p.Canary != (muster.Size{}) && n > 0 {
		o.canary = min(max(c, 1), n)
		o.sample = permute.New(n, p.Seed^canarySalt)
	}
	if p.Shuffle {
		s := permute.New(n, p.Seed)
		o.shuffle = &s
	}
	return o
}

// next returns the next target number; ok is false at the end.
func (o *order) next() (i int, ok bool) {
	if o.pos < o.canary {
		o.pos++
		return o.sample.At(o.pos - 1), true
	}
	for o.pos < o.canary+o.n {
		i = o.pos - o.canary
		o.pos++
		if o.shuffle != nil {
			i = o.shuffle.At(i)
		}
		if o.canary == 0 || o.sample.Index(i) >= o.canary {
			return i, true
		}
	}
	return 0, false
}

// done reports whether every number has been taken. The last of the list may be
// canary members, so it can be false with nothing left; next then says so.
func (o *order) done() bool { return o.pos >= o.canary+o.n }
