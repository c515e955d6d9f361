package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// A run of digits is kept as the number that it makes with a 1 in front, so that
// "5" (15) and "05" (105) differ and shorter runs come first.

// maxDigits is the longest run that fits an uint64 with the 1 in front.
const maxDigits = 18

// noDigits is the empty run.
const noDigits = 1

var pow10 = func() (p [maxDigits + 1]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// digitKey returns the key of a run of at most maxDigits digits.
func digitKey(digits string) uint64 {
	key := uint64(noDigits)
	for i := range len(digits) {
		key = key*10 + uint64(digits[i]-'0')
	}
	return key
}

func appendDigits(dst []byte, key uint64) []byte {
	from := len(dst)
	dst = strconv.AppendUint(dst, key, 10)
	return append(dst[:from], dst[from+1:]...)
}

// width returns the length of the run that key stands for.
func width(key uint64) int {
	w := 0
	for w < maxDigits && key >= 2*pow10[w] {
		w++
	}
	return w
}

// concat returns the keys of every run of a followed by every run of b.
func concat(a, b ranges) (ranges, error) {
	if len(b.spans) > 0 && width(b.spans[len(b.spans)-1].hi)+width(a.spans[len(a.spans)-1].hi) > maxDigits {
		return ranges{}, fmt.Errorf("more than %d digits in a row", maxDigits)
	}
	if a.n == 1 && a.spans[0].lo == noDigits {
		return b, nil
	}
	if b.n == 1 && b.spans[0].lo == noDigits {
		return a, nil
	}
	if a.n*uint64(len(b.spans)) > maxPieces || a.n > maxPieces {
		return ranges{}, fmt.Errorf("digits beside a bracket make more than %d pieces: put them inside", maxPieces)
	}
	var out []span
	for i := range a.n {
		head := a.at(i)
		for _, s := range b.spans {
			w := width(s.lo)
			shift := head*pow10[w] - pow10[w]
			out = append(out, span{s.lo + shift, s.hi + shift})
		}
	}
	return newRanges(out), nil
}

// parseBracket reads the inside of a bracket, "1-5,08-12,20-40/2", into keys.
func parseBracket(text string) (r ranges, err error) {
	var spans []span
	at := 0
	for part := range strings.SplitSeq(text, ",") {
		if spans, err = appendPart(spans, part); err != nil {
			return ranges{}, behind(at, err)
		}
		if len(spans) > maxPieces {
			return ranges{}, fmt.Errorf("more than %d pieces in one bracket: leave out the step", maxPieces)
		}
		at += len(part) + 1
	}
	return newRanges(spans), nil
}

func appendPart(spans []span, part string) ([]span, error) {
	text, stepText, stepped := strings.Cut(part, "/")
	loText, hiText, isRange := strings.Cut(text, "-")
	if !isRange {
		hiText = loText
	}
	if !isDigits(loText) || !isDigits(hiText) {
		return nil, fmt.Errorf("%q: want numbers, as in [1-20], [01-20,30] or [0-10/2]", part)
	}
	padded := len(loText) > 1 && loText[0] == '0' || len(hiText) > 1 && hiText[0] == '0'
	if padded && len(loText) != len(hiText) {
		return nil, fmt.Errorf("%q: both ends of a zero-padded range need the same width", part)
	}
	lo, hi := digitKey(loText)-pow10[len(loText)], digitKey(hiText)-pow10[len(hiText)]
	if lo > hi {
		return nil, fmt.Errorf("%q: the range runs backwards", part)
	}
	pad := 1
	if padded {
		pad = len(loText)
	}
	if !stepped {
		return appendKeys(spans, lo, hi, pad), nil
	}
	if !isDigits(stepText) || digitKey(stepText) == pow10[len(stepText)] {
		return nil, fmt.Errorf("%q: want a step of 1 or more", part)
	}
	step := digitKey(stepText) - pow10[len(stepText)]
	if step == 1 {
		return appendKeys(spans, lo, hi, pad), nil
	}
	for v := lo; v <= hi && len(spans) <= maxPieces; v += step {
		spans = appendKeys(spans, v, v, pad)
	}
	return spans, nil
}

// appendKeys appends the keys of the numbers lo to hi, padded with zeros to a width of pad.
func appendKeys(spans []span, lo, hi uint64, pad int) []span {
	for w := pad; w <= maxDigits; w++ {
		if lo >= pow10[w] {
			continue
		}
		end := min(hi, pow10[w]-1)
		spans = append(spans, span{pow10[w] + lo, pow10[w] + end})
		if end == hi {
			break
		}
		lo = end + 1
	}
	return spans
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxDigits
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
