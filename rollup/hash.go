package rollup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"

	"github.com/musterhq/muster"
)

// hashSize is how many bytes of a SHA-256 tell bodies apart: 128 bits, so that two of a
// million different ones agree with a probability of 2^-89 by chance, and nobody can
// choose two that do with less than 2^64 work.
const hashSize = 16

func appendHash(dst, b []byte) []byte {
	sum := sha256.Sum256(b)
	return hex.AppendEncode(dst, sum[:hashSize])
}

// appendBody appends the key of a body: what it is, and, when the answer was not ok, why not. A
// target that says the right thing with the wrong status must not hide among the healthy.
func appendBody(dst, body []byte, r *muster.Result) []byte {
	dst = appendHash(dst, body)
	if r.Outcome == muster.OK {
		return dst
	}
	why := cmp.Or(r.Reason, r.Outcome.String())
	return append(append(dst, ' '), why[:min(len(why), maxKey/2)]...)
}
