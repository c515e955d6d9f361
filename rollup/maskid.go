package rollup

import (
	"bytes"
	"net"
	"strconv"
)

// isWord reports whether c belongs to a word: a letter, a digit, or a part of a rune
// beyond ASCII.
func isWord(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

func isDigit(c byte) bool { return c-'0' < 10 }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

const (
	minHex  = 8
	ulidLen = 26
)

// identifier returns where the UUID, ULID or long hexadecimal number that begins with the word
// b[i:end] ends, or 0.
func identifier(b []byte, i, end int) int {
	word := b[i:end]
	if len(word) < minHex {
		return 0
	}
	if len(word) == 8 {
		if uuid := uuidEnd(b, i); uuid > 0 {
			return uuid
		}
	}
	if hex, ok := bytes.CutPrefix(word, []byte("0x")); ok && allHex(hex) && len(hex) >= minHex {
		return end
	}
	if len(word) == ulidLen && isULID(word) {
		return end
	}
	digits := 0
	for _, c := range word {
		if !isHex(c) {
			return 0
		}
		if isDigit(c) {
			digits++
		}
	}
	// Without a letter it is a number, without a digit it may be a word.
	if digits == 0 || digits == len(word) {
		return 0
	}
	return end
}

func allHex(b []byte) bool {
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// uuidEnd returns where the UUID at i ends, or 0.
func uuidEnd(b []byte, i int) int {
	const size = 36
	end := i + size
	if end > len(b) || end < len(b) && isWord(b[end]) {
		return 0
	}
	for k, c := range b[i:end] {
		if dash := k == 8 || k == 13 || k == 18 || k == 23; dash && c != '-' || !dash && !isHex(c) {
			return 0
		}
	}
	return end
}

// isULID reports whether 26 bytes are a ULID: Crockford's base 32, 128 bits, in one case, with
// the digits that a word of that length does not have.
func isULID(word []byte) bool {
	digits, lower, upper := 0, 0, 0
	for _, c := range word {
		switch {
		case isDigit(c):
			digits++
		case c >= 0x80 || bytes.IndexByte([]byte("ilou"), c|0x20) >= 0:
			return false
		case c >= 'a':
			lower++
		default:
			upper++
		}
	}
	return word[0] <= '7' && isDigit(word[0]) && digits < len(word) && (lower == 0 || upper == 0)
}

// idKeys are the words that, before "id", make what follows one request's own.
var idKeys = []string{"request", "req", "trace", "span", "correlation", "session", "transaction"}

// keyedID returns the value of a key such as request_id=, "traceId": or X-Request-Id: whose last
// word is given; end is 0 when it is no such key or has no value.
func keyedID(b []byte, prev, word span) (start, end int) {
	w := b[word.start:word.end]
	n := len(w) - 2
	if n < 0 || w[n]|0x20 != 'i' || w[n+1]|0x20 != 'd' {
		return 0, 0
	}
	key := w[:n]
	if n == 0 {
		if prev.end < 0 || prev.end+1 != word.start || b[prev.end] != '_' && b[prev.end] != '-' {
			return 0, 0
		}
		key = b[prev.start:prev.end]
	}
	if !endsInIDKey(key) {
		return 0, 0
	}
	return keyValue(b, word.end)
}

func endsInIDKey(key []byte) bool {
	for _, k := range idKeys {
		if len(key) >= len(k) && bytes.EqualFold(key[len(key)-len(k):], []byte(k)) {
			return true
		}
	}
	return false
}

// keyValue returns where the value of a key that ends at i stands.
func keyValue(b []byte, i int) (start, end int) {
	i = skip(b, i, "\"'", 1)
	i = skip(b, i, " \t", 4)
	if i == len(b) || b[i] != ':' && b[i] != '=' {
		return 0, 0
	}
	i = skip(b, i+1, " \t", 4)
	start = skip(b, i, "\"'", 1)
	end = start
	for end < len(b) && b[end] > ' ' && bytes.IndexByte([]byte(`,;&"'<>()[]{}`), b[end]) < 0 {
		end++
	}
	if string(b[start:end]) == "null" {
		return 0, 0
	}
	if end == start {
		return 0, 0
	}
	return start, end
}

// skip goes over at most limit bytes of the set.
func skip(b []byte, i int, set string, limit int) int {
	for ; limit > 0 && i < len(b) && bytes.IndexByte([]byte(set), b[i]) >= 0; limit-- {
		i++
	}
	return i
}
