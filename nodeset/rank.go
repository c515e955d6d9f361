package nodeset

import "math"

// maxDigits is the longest run of digits that is an index: ranks of longer
// runs would overflow 64 bits.
const maxDigits = 18

// maxAxes is the number of indexes in a name; digits behind them are text. It
// bounds what a hostile name costs.
const maxAxes = 32

// A rank numbers all strings of digits, shorter ones first, then by value:
// "0" is 0, "9" is 9, "00" is 10, "99" is 109, "000" is 110. Width and value
// are both in it, so web1 and web001 are different elements of one axis and a
// range of equal widths is one interval.

// pow10 holds the powers of ten that fit in a rank.
var pow10 = powersOfTen()

func powersOfTen() (p [maxDigits + 1]uint64) {
	p[0] = 1
	for i := range maxDigits {
		p[i+1] = 10 * p[i]
	}
	return p
}

// base is the rank of the first string of the given width: 10 + 100 + … below it.
func base(width int) uint64 { return (pow10[width] - 10) / 9 }

func rank(value uint64, width int) uint64 { return base(width) + value }

// rankOf is the rank of a string of 1 to maxDigits digits.
func rankOf[T string | []byte](digits T) uint64 {
	var v uint64
	for i := range len(digits) {
		v = 10*v + uint64(digits[i]-'0')
	}
	return rank(v, len(digits))
}

// unrank returns the value and the width of the string with rank r.
func unrank(r uint64) (value uint64, width int) {
	width = 1
	for width < maxDigits && r >= base(width+1) {
		width++
	}
	return r - base(width), width
}

// appendPadded appends v in at least width digits.
func appendPadded(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	dst = append(dst, "00000000000000000000"[:max(width, digitsOf(v))]...)
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

// digitsOf is the number of digits of v, 1 for zero.
func digitsOf(v uint64) int {
	n := 1
	for n <= maxDigits && v >= pow10[n] {
		n++
	}
	return n
}

// advance turns the digits at the end of b, which start
// at from, into the string with the next rank.
func advance(b []byte, from int) []byte {
	for i := len(b) - 1; i >= from; i-- {
		if b[i] != '9' {
			b[i]++
			return b
		}
		b[i] = '0'
	}
	return append(b, '0')
}

// A span is an inclusive interval of ranks.
type span struct{ lo, hi uint64 }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Sizes saturate at the largest int, so that Len never lies by wrapping.

func satAdd(a, b uint64) uint64 {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func satMul(a, b uint64) uint64 {
	if a != 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}

// count is the number of ranks in spans.
func count(spans []span) uint64 {
	var n uint64
	for _, s := range spans {
		n = satAdd(n, s.hi-s.lo+1)
	}
	return n
}
