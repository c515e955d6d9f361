package nodeset

import (
	"errors"
	"math"
)

// ErrTooLarge is wrapped by the errors of operations that would have to list
// more names or pieces than their limit allows.
var ErrTooLarge = errors.New("node set too large to be listed")

// maxListed bounds what operations without a limit of their own list.
const maxListed = 1 << 24

// A budget counts the pieces an operation makes. A nil budget is unlimited.
type budget struct{ left int }

func (b *budget) spend(n int) {
	if b != nil {
		b.left -= min(n, max(b.left, 0)+1)
	}
}

// spendAll is spend for saturating sizes; it reports whether they fit.
func (b *budget) spendAll(n uint64) bool {
	b.spend(int(min(n, math.MaxInt)))
	return !b.exceeded()
}

func (b *budget) grow(n int) { b.left += n }

func (b *budget) exceeded() bool { return b != nil && b.left < 0 }
