package sim

// Salts keep the draws of one address independent of each other.
const (
	saltProfile uint64 = iota + 1
	saltLatency
	saltLatency2
	saltVersion
	saltHealth
	saltCPU
	saltMemory
	saltZone
	saltHex
	saltFlaky
	saltGarbage
)

// mix is the finalizer of SplitMix64: a bijection whose output bits each depend
// on all input bits.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// draw is the value that (seed, key) gives for the purpose salt.
func draw(seed, key, salt uint64) uint64 {
	return mix(mix(seed+salt*0x9e3779b97f4a7c15) ^ mix(key+0x9e3779b97f4a7c15))
}

// unit maps a draw to [0, 1).
func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }
