package nodeset

import (
	"net/netip"
	"strings"
)

// A key is the pattern of a name: its text with "%s" for each index and "%%"
// for a percent sign. Name and (key, ranks) determine each other, which is what
// makes set operations on keys and ranks exact.

// scanName appends the key of name to key and the ranks of its indexes to ranks,
// which is empty.
func scanName(name string, key []byte, ranks []uint64) ([]byte, []uint64) {
	var u urlState
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case u.inPath():
			return appendKey(key, name[i:]), ranks
		case isDigit(c):
			end := i + 1
			for end < len(name) && isDigit(name[end]) {
				end++
			}
			if end-i > maxDigits || len(ranks) == maxAxes {
				key = append(key, name[i:end]...)
			} else {
				key, ranks = append(key, "%s"...), append(ranks, rankOf(name[i:end]))
			}
			u.interrupt()
			i = end
		case c == '[' && addressLen(name[i:]) > 0:
			n := addressLen(name[i:])
			key = appendKey(key, name[i:i+n])
			u.interrupt()
			i += n
		default:
			u.feed(c)
			key = appendKeyByte(key, c)
			i++
		}
	}
	return key, ranks
}

func appendKeyByte(key []byte, c byte) []byte {
	if c == '%' {
		return append(key, "%%"...)
	}
	return append(key, c)
}

func appendKey(key []byte, text string) []byte {
	for i := range len(text) {
		key = appendKeyByte(key, text[i])
	}
	return key
}

// pieces splits a key at its indexes: one literal more than there are axes.
func pieces(key string) []string {
	if !strings.Contains(key, "%%") {
		return strings.Split(key, "%s")
	}
	var parts []string
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] != '%' {
			b.WriteByte(key[i])
			continue
		}
		i++ // the byte behind a percent sign: "%%" or "%s"
		if key[i] == '%' {
			b.WriteByte('%')
			continue
		}
		parts = append(parts, b.String())
		b.Reset()
	}
	return append(parts, b.String())
}

// addressLen is the length of the IP address in brackets that s begins with, or
// 0. The search is bounded so that rows of open brackets stay cheap.
func addressLen(s string) int {
	end := strings.IndexByte(s[:min(len(s), 128)], ']')
	if end < 0 {
		return 0
	}
	if _, err := netip.ParseAddr(s[1:end]); err != nil {
		return 0
	}
	return end + 1
}

// urlState finds, byte by byte, where the path of scheme://host/path begins.
// Both names and expressions are read with it, so that they agree on which
// digits are indexes.
type urlState struct {
	prev  [2]byte
	phase urlPhase
}

type urlPhase uint8

const (
	noURL urlPhase = iota
	inHost
	inPath
)

func (u *urlState) inPath() bool { return u.phase == inPath }
func (u *urlState) inHost() bool { return u.phase == inHost }

// interrupt notes an index or an address between two literal bytes.
func (u *urlState) interrupt() { u.prev = [2]byte{} }

func (u *urlState) feed(c byte) {
	switch u.phase {
	case noURL:
		if c == '/' && u.prev == [2]byte{':', '/'} {
			u.phase = inHost
		}
		u.prev = [2]byte{u.prev[1], c}
	case inHost:
		if c == '/' || c == '?' || c == '#' {
			u.phase = inPath
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func isOperator(c byte) bool { return c == ',' || c == '!' || c == '&' || c == '^' }

// A quoter writes the literals of one name so that Parse reads them back.
type quoter struct {
	url     urlState
	started bool
}

func (q *quoter) append(dst []byte, lit string) []byte {
	for i := 0; i < len(lit); i++ {
		c := lit[i]
		if c == '[' && !q.url.inPath() {
			if n := addressLen(lit[i:]); n > 0 {
				dst = append(dst, lit[i:i+n]...)
				q.url.interrupt()
				q.started = true
				i += n - 1
				continue
			}
		}
		if q.special(c) {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
		q.url.feed(c)
		q.started = true
	}
	return dst
}

// index notes that an index was written after the last literal.
func (q *quoter) index() {
	q.url.interrupt()
	q.started = true
}

func (q *quoter) special(c byte) bool {
	switch {
	case c == '\\' || isSpace(c):
		return true
	case q.url.inPath():
		return false
	case c == '?':
		return !q.url.inHost()
	case c == '@':
		return !q.started
	}
	return isOperator(c) || c == '[' || c == ']' || c == '*'
}
