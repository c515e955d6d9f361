package probe

import (
	"bytes"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// nextField returns the header field at the start of b, continuation lines joined
// by single spaces as [net/textproto] does, and the length of its lines. At
// the blank line kv is nil; n is 0 while b does not hold all of it. kv is
// valid until the next call.
func (r *response) nextField(b []byte, first bool) (kv []byte, n int, err error) {
	if first && len(b) > 0 && isBlank(b[0]) {
		return nil, 0, malformed("header line", firstLine(b))
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, 0, nil
	}
	line := dropCR(b[:i])
	if len(line) == 0 {
		return nil, i + 1, nil
	}
	if bytes.IndexByte(line, ':') < 0 {
		return nil, 0, malformed("header line", line)
	}
	// Only the next byte says whether the field goes on.
	switch n = i + 1; {
	case n == len(b):
		return nil, 0, nil
	case isBlank(b[n]):
		return r.joinField(trimBlank(line), b, n)
	}
	return trimBlank(line), n, nil
}

// joinField joins the continuation lines at b[n:] to the field's first line.
func (r *response) joinField(line, b []byte, n int) ([]byte, int, error) {
	r.fold = append(r.fold[:0], line...)
	for {
		if n == len(b) {
			return nil, 0, nil
		}
		if !isBlank(b[n]) {
			return r.fold, n, nil
		}
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return nil, 0, nil
		}
		r.fold = append(r.fold, ' ')
		r.fold = append(r.fold, trimBlank(dropCR(b[n:n+i]))...)
		n += i + 1
	}
}

// splitField checks a field and splits it at its first colon.
func splitField(kv []byte) (key, value []byte, err error) {
	i := bytes.IndexByte(kv, ':')
	if i <= 0 {
		return nil, nil, malformed("header line", kv)
	}
	key, value = kv[:i], kv[i+1:]
	for _, c := range key {
		// A blank inside of a name is accepted, and makes it another name.
		if !isToken[c] && c != ' ' {
			return nil, nil, malformed("header line", kv)
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, malformed("header line", kv)
		}
	}
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	return key, value, nil
}

// addField takes what the codec needs to know from a field, and keeps the wanted ones.
func (r *response) addField(kv []byte) error {
	key, value, err := splitField(kv)
	if err != nil {
		return err
	}
	switch len(key) {
	case len("trailer"):
		if equalFold(key, "trailer") {
			r.framing.checkTrailer(value)
		}
	case len("connection"):
		if equalFold(key, "connection") {
			r.framing.connClose = r.framing.connClose || hasToken(value, "close")
			r.framing.connKeep = r.framing.connKeep || hasToken(value, "keep-alive")
		}
	case len("content-type"):
		if equalFold(key, "content-type") {
			r.content.addType(value)
		}
	case len("content-length"):
		if equalFold(key, "content-length") {
			err = r.framing.addLength(value)
		}
	case len("content-encoding"):
		if equalFold(key, "content-encoding") {
			r.content.addCoding(value)
		}
	case len("transfer-encoding"):
		if equalFold(key, "transfer-encoding") {
			err = r.framing.addEncoding(value)
		}
	}
	if err == nil && r.keep != nil {
		r.kept = r.keep.add(r.kept, key, value)
	}
	return err
}

// addLength takes a Content-Length; repeated ones must be written alike.
func (f *framing) addLength(value []byte) error {
	value = bytes.Trim(value, " \t\r\n")
	if f.hasLength {
		same := len(value) == f.lengthDigit && len(value) <= len(f.lengthText) &&
			string(value) == string(f.lengthText[:f.lengthDigit])
		if !same {
			return errConflict
		}
		return nil
	}
	n, ok := parseLength(value)
	if !ok {
		return malformed("Content-Length", value)
	}
	f.hasLength, f.length = true, n
	f.lengthDigit = len(value)
	copy(f.lengthText[:], value)
	return nil
}

// parseLength reads a decimal number below 2^63.
func parseLength(b []byte) (n uint64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (1<<63-1)/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n < 1<<63
}

// addEncoding takes a Transfer-Encoding: exactly one, and only chunked. HTTP/1.0 knows none.
func (f *framing) addEncoding(value []byte) error {
	if f.major == 1 && f.minor == 0 || f.major == 0 && f.minor > 0 {
		return nil
	}
	if f.chunked || !equalFold(value, "chunked") {
		return malformed("Transfer-Encoding", value)
	}
	f.chunked = true
	return nil
}

// checkTrailer notes whether a Trailer field names one that must not be a trailer.
func (f *framing) checkTrailer(value []byte) {
	for v := range bytes.SplitSeq(value, []byte{','}) {
		switch v = bytes.Trim(v, " \t\r\n"); {
		case equalFold(v, "transfer-encoding"), equalFold(v, "trailer"), equalFold(v, "content-length"):
			f.badTrailer = true
		}
	}
}

// hasToken reports whether the comma-separated list holds the lower-case token.
func hasToken(list []byte, token string) bool {
	for v := range bytes.SplitSeq(list, []byte{','}) {
		if equalFold(trimBlank(v), token) {
			return true
		}
	}
	return false
}

// keepSet is the set of response headers that are kept. It is immutable.
type keepSet struct {
	all   bool
	names []string // lower case
}

// newKeepSet returns the set of the given names, "*" meaning all; nil when there are none.
func newKeepSet(names ...string) *keepSet {
	k := &keepSet{}
	for _, n := range names {
		if n == "*" {
			return &keepSet{all: true}
		}
		k.names = append(k.names, strings.ToLower(n))
	}
	if len(k.names) == 0 {
		return nil
	}
	slices.Sort(k.names)
	k.names = slices.Compact(k.names)
	return k
}

// add appends the field to kept when it is wanted.
func (k *keepSet) add(kept []muster.HeaderField, key, value []byte) []muster.HeaderField {
	if k.all {
		return append(kept, muster.HeaderField{Name: strings.ToLower(string(key)), Value: string(value)})
	}
	for _, n := range k.names {
		if len(n) == len(key) && equalFold(key, n) {
			return append(kept, muster.HeaderField{Name: n, Value: string(value)})
		}
	}
	return kept
}
