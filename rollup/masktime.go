package rollup

import "bytes"

// timestamp returns where the date, time of day or epoch that begins with the word at i
// ends, or 0. It looks no further than a time is long.
func timestamp(b []byte, i int) int {
	var end int
	switch {
	case !isDigit(b[i]):
		end = namedDate(b, i)
	case i >= 2 && b[i-1] == '.' && isDigit(b[i-2]):
		return 0 // the decimals of a number, or a part of a version
	default:
		end = numericTime(b, i)
	}
	if end > 0 && end < len(b) && isWord(b[end]) && isWord(b[end-1]) {
		return 0
	}
	return end
}

// numericTime takes the run of digits at i apart by its length.
func numericTime(b []byte, i int) int {
	n := 0
	for i+n < len(b) && n < 20 && isDigit(b[i+n]) {
		n++
	}
	switch n {
	case 1:
		return dayMonthYear(b, i)
	case 2:
		if end := dayMonthYear(b, i); end > 0 {
			return end
		}
		return bareClock(b, i)
	case 4:
		return isoDate(b, i)
	case 8:
		return basicDate(b, i)
	case 10, 13, 16, 19:
		return epoch(b, i, n)
	}
	return 0
}

// epoch takes n digits as a time since 1970 when it lies between 2001 and 2038.
func epoch(b []byte, i, n int) int {
	seconds, ok := number(b, i, 10)
	if !ok || seconds < 1_000_000_000 || seconds > 2_147_483_647 {
		return 0
	}
	if i > 0 && (b[i-1] == '$' || b[i-1] == '+' || b[i-1] == '-' && (i == 1 || !isWord(b[i-2]))) {
		return 0
	}
	end := i + n
	if end+1 < len(b) && b[end] == '.' && isDigit(b[end+1]) {
		frac := digitsEnd(b, end+1)
		if frac-end <= 3 { // two decimals are money
			return 0
		}
		end = frac
	}
	return end
}

// isoDate reads 2006-01-02 or 2006/01/02, and a time behind it.
func isoDate(b []byte, i int) int {
	if len(b) < i+10 || b[i+4] != '-' && b[i+4] != '/' || b[i+7] != b[i+4] {
		return 0
	}
	if !between(b, i, 4, 1900, 2199) || !between(b, i+5, 2, 1, 12) || !between(b, i+8, 2, 1, 31) {
		return 0
	}
	end := i + 10
	if end < len(b) && bytes.IndexByte([]byte("Tt _"), b[end]) >= 0 {
		if t := clock(b, end+1); t > 0 {
			return zone(b, t)
		}
	}
	if end < len(b) && isDigit(b[end]) {
		return 0
	}
	return end
}

// basicDate reads 20060102T150405Z. Eight digits alone are a number.
func basicDate(b []byte, i int) int {
	if !between(b, i, 4, 1900, 2199) || !between(b, i+4, 2, 1, 12) || !between(b, i+6, 2, 1, 31) {
		return 0
	}
	if len(b) < i+15 || b[i+8] != 'T' || !between(b, i+9, 2, 0, 23) || !between(b, i+11, 2, 0, 59) || !between(b, i+13, 2, 0, 60) {
		return 0
	}
	return zone(b, fraction(b, i+15))
}

// bareClock reads 15:04:05 unless it is a part of a MAC or IPv6 address.
func bareClock(b []byte, i int) int {
	if i >= 3 && b[i-1] == ':' && isHex(b[i-2]) && isHex(b[i-3]) && (i == 3 || !isWord(b[i-4])) {
		return 0
	}
	if i >= 2 && b[i-1] == ':' && b[i-2] == ':' {
		return 0
	}
	end := clock(b, i)
	if end == 0 || b[min(i+5, len(b)-1)] != ':' || end < len(b) && b[end] == ':' {
		return 0
	}
	return zone(b, end)
}

// clock reads 15:04, 15:04:05 and 15:04:05.999.
func clock(b []byte, i int) int {
	if len(b) < i+5 || !between(b, i, 2, 0, 23) || b[i+2] != ':' || !between(b, i+3, 2, 0, 59) {
		return 0
	}
	if len(b) < i+8 || b[i+5] != ':' || !between(b, i+6, 2, 0, 60) {
		return i + 5
	}
	return fraction(b, i+8)
}

func fraction(b []byte, i int) int {
	if i+1 < len(b) && (b[i] == '.' || b[i] == ',') && isDigit(b[i+1]) {
		return digitsEnd(b, i+1)
	}
	return i
}

// digitsEnd is where the digits at i end, of which it passes over 12 at most.
func digitsEnd(b []byte, i int) int {
	for n := 0; n < 12 && i < len(b) && isDigit(b[i]); n++ {
		i++
	}
	return i
}

var zones = []string{"UTC", "GMT", "CEST", "CET", "EEST", "EET", "WEST", "WET", "BST", "IST", "JST", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"}

// zone passes over Z, +01:00, " +0100", " UTC" and " +0100 CET" if one is there.
func zone(b []byte, i int) int {
	if i < len(b) && b[i]|0x20 == 'z' {
		return i + 1
	}
	at := skip(b, i, " ", 1)
	if at+5 <= len(b) && (b[at] == '+' || b[at] == '-') {
		if end := offset(b, at+1); end > 0 {
			i, at = end, skip(b, end, " ", 1)
		}
	}
	if at > i {
		if end := oneOf(b, at, zones); end > 0 {
			return end
		}
	}
	return i
}

// offset reads 0100 or 01:00.
func offset(b []byte, i int) int {
	if !between(b, i, 2, 0, 23) {
		return 0
	}
	end := skip(b, i+2, ":", 1)
	if !between(b, end, 2, 0, 59) || end+2 < len(b) && isDigit(b[end+2]) {
		return 0
	}
	return end + 2
}

var (
	months = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
	days   = []string{
		"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
		"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
	}
)

// namedDate reads dates that begin with a day or month: RFC 1123, RFC 850, ctime, syslog.
func namedDate(b []byte, i int) int {
	if c := b[i]; c < 'A' || c > 'W' {
		return 0
	}
	if end := monthDay(b, i); end > 0 {
		return end
	}
	end := oneOf(b, i, days)
	if end == 0 {
		return 0
	}
	at := skip(b, skip(b, end, ",", 1), " ", 2)
	if at == end || at == len(b) {
		return 0
	}
	if end := dayMonthYear(b, at); end > 0 {
		return end
	}
	return monthDay(b, at)
}

// dayMonthYear reads 02 Jan 2006, 02-Jan-06, 02/Jan/2006, and a time behind it.
func dayMonthYear(b []byte, i int) int {
	end := dayNumber(b, i)
	if end == 0 || end == len(b) || bytes.IndexByte([]byte(" -/"), b[end]) < 0 {
		return 0
	}
	sep := b[end]
	if end = oneOf(b, end+1, months); end == 0 || end == len(b) || b[end] != sep {
		return 0
	}
	if end = year(b, end+1, sep == '-'); end == 0 {
		return 0
	}
	if end < len(b) && (b[end] == ' ' || b[end] == ':') {
		if t := clock(b, end+1); t > 0 {
			return zone(b, t)
		}
	}
	return end
}

// monthDay reads Jan _2 15:04:05, with a zone and a year behind it or not, and Jan 2, 2006.
func monthDay(b []byte, i int) int {
	end := oneOf(b, i, months)
	if end == 0 {
		return 0
	}
	at := skip(b, end, " ", 2)
	if at == end {
		return 0
	}
	if end = dayNumber(b, at); end == 0 {
		return 0
	}
	at = skip(b, skip(b, end, ",", 1), " ", 1)
	if y := year(b, at, false); y > 0 && at > end {
		if t := clock(b, skip(b, y, " ", 1)); t > 0 {
			return zone(b, t)
		}
		return y
	}
	t := clock(b, at)
	if t == 0 || at == end {
		return 0
	}
	t = zone(b, t)
	if y := year(b, skip(b, t, " ", 1), false); y > t {
		return y
	}
	return t
}

// dayNumber reads 1 to 31, in one or two digits.
func dayNumber(b []byte, i int) int {
	for n := 2; n > 0; n-- {
		if between(b, i, n, 1, 31) && (i+n == len(b) || !isDigit(b[i+n])) {
			return i + n
		}
	}
	return 0
}

// year reads 1900 to 2199, or two digits where they are allowed.
func year(b []byte, i int, short bool) int {
	n := 4
	if !between(b, i, 4, 1900, 2199) {
		if !short || !between(b, i, 2, 0, 99) {
			return 0
		}
		n = 2
	}
	if i+n < len(b) && isDigit(b[i+n]) {
		return 0
	}
	return i + n
}

// oneOf returns where the word at i ends if it is one of words, else 0.
func oneOf(b []byte, i int, words []string) int {
	for _, w := range words {
		end := i + len(w)
		if end <= len(b) && string(b[i:end]) == w && (end == len(b) || !isWord(b[end])) {
			return end
		}
	}
	return 0
}

// between reports whether n digits stand at i whose value is in a range.
func between(b []byte, i, n, lo, hi int) bool {
	v, ok := number(b, i, n)
	return ok && v >= lo && v <= hi
}

func number(b []byte, i, n int) (v int, ok bool) {
	if i+n > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+n] {
		if !isDigit(c) {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}
