package inventory

import (
	"slices"

	"github.com/musterhq/muster/permute"
)

// sample returns k of the numbers below n, ascending, fixed by seed: those
// that come first in a seeded permutation, found without listing the others.
func sample(n, k int, seed uint64) []int {
	p := permute.New(n, seed)
	pick := make([]int, k)
	for i := range pick {
		pick[i] = p.At(i)
	}
	slices.Sort(pick)
	return pick
}
