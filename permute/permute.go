// Package permute gives seeded permutations of the numbers below n that need no
// memory of them: the engine's shuffled order and the inventory's samples are
// computed one number at a time.
package permute

import "math/bits"

// rounds of the Feistel network. Four make a pseudorandom permutation in theory; two more
// cover for the lean round function.
const rounds = 6

// Perm is a bijection of the numbers 0 to n-1 onto themselves, fixed by n and a
// seed across processes, machines and versions. It is an immutable value, safe
// for concurrent use; its zero value is the permutation of nothing. It spreads
// work and draws samples; it hides nothing and is no cipher.
type Perm struct {
	n    uint64
	half uint // width in bits of either half of the network's numbers
	mask uint64
	keys [rounds]uint64
}

// New returns the permutation of 0 to n-1 for seed. An n below 1 gives the
// permutation of nothing.
func New(n int, seed uint64) Perm {
	if n < 1 {
		return Perm{}
	}
	p := Perm{n: uint64(n), half: (uint(bits.Len64(uint64(n-1))) + 1) / 2}
	p.mask = 1<<p.half - 1
	for r := range p.keys {
		seed += 0x9e3779b97f4a7c15 // splitmix64's step, the golden ratio of 2^64
		p.keys[r] = mix(seed)
	}
	return p
}

// Len returns n.
func (p Perm) Len() int { return int(p.n) }

// At returns the number in place i. It panics unless 0 <= i < n.
func (p Perm) At(i int) int {
	v := p.check(i)
	for {
		// The network permutes a power of four that is at least n, and less than
		// 4n; walking along its cycle until it is back below n takes under four steps on average.
		if v = p.forward(v); v < p.n {
			return int(v)
		}
	}
}

// Index returns the place of number v: the inverse of At. It panics unless 0 <= v < n.
func (p Perm) Index(v int) int {
	i := p.check(v)
	for {
		if i = p.backward(i); i < p.n {
			return int(i)
		}
	}
}

func (p Perm) check(i int) uint64 {
	if uint64(i) >= p.n {
		panic("permute: index out of range")
	}
	return uint64(i)
}

func (p *Perm) forward(v uint64) uint64 {
	l, r := v>>p.half, v&p.mask
	for _, k := range p.keys {
		l, r = r, l^(mix(r^k)&p.mask)
	}
	return l<<p.half | r
}

func (p *Perm) backward(v uint64) uint64 {
	l, r := v>>p.half, v&p.mask
	for i := range p.keys {
		l, r = r^(mix(l^p.keys[rounds-1-i])&p.mask), l
	}
	return l<<p.half | r
}

// mix is splitmix64's finalizer: every input bit moves every output bit.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
