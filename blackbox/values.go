package blackbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster/extract"
)

// pattern is an RE2 regular expression that compiles.
type pattern string

// UnmarshalText compiles the pattern once, to see that it can be.
func (p *pattern) UnmarshalText(b []byte) error {
	if _, err := regexp.Compile(string(b)); err != nil {
		return fmt.Errorf("%w", err)
	}
	*p = pattern(b)
	return nil
}

// celText is a condition of the Common Expression Language that compiles.
type celText string

// UnmarshalText compiles the condition once.
func (c *celText) UnmarshalText(b []byte) error {
	if err := extract.CheckCEL(string(b)); err != nil {
		return err
	}
	*c = celText(b)
	return nil
}

// protocol is "ip4" or "ip6". The exporter takes all that is not ip6 or empty for ip4.
type protocol string

// UnmarshalText accepts the two.
func (p *protocol) UnmarshalText(b []byte) error {
	switch string(b) {
	case "", "ip4", "ip6":
		*p = protocol(b)
		return nil
	}
	return fmt.Errorf("%q: want ip4 or ip6", b)
}

// tlsVersion is a version as package probe writes it: "1.2".
type tlsVersion string

// UnmarshalText reads TLS12 and its like.
func (v *tlsVersion) UnmarshalText(b []byte) error {
	digits, ok := strings.CutPrefix(string(b), "TLS1")
	if !ok || !slices.Contains([]string{"0", "1", "2", "3"}, digits) {
		return fmt.Errorf("%q: want TLS10, TLS11, TLS12 or TLS13", b)
	}
	*v = tlsVersion("1." + digits)
	return nil
}

// messageHeader is a [headerFrom], or one value by itself, as the exporter's example writes it.
type messageHeader struct {
	headerFrom
	alone bool // one value by itself
}

// UnmarshalJSON reads either.
func (h *messageHeader) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '{' {
		h.Values, h.alone = make([]string, 1), true
		return json.Unmarshal(b, &h.Values[0])
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(&h.headerFrom)
}

// size is a number of bytes.
type size int64

// units are powers of 1024, whichever way they are written.
const units = "BKMGTPE"

// UnmarshalText reads 10MB, 1KiB or 4096; all units are powers of 1024.
func (s *size) UnmarshalText(b []byte) error {
	text := string(b)
	number := strings.TrimRight(text, units+"i")
	unit := text[len(number):]
	factor := 1.0
	if unit != "" {
		power := strings.IndexByte(units, unit[0])
		rest := strings.TrimPrefix(unit[1:], "i")
		if power < 0 || rest != "B" && (rest != "" || strings.Contains(unit, "i")) || unit[0] == 'B' && unit != "B" {
			return fmt.Errorf("%q: want a size such as 10MB", b)
		}
		factor = math.Pow(1024, float64(power))
	}
	f, err := strconv.ParseFloat(number, 64)
	if f *= factor; err != nil || !(f >= 0 && f < math.MaxInt64) {
		return fmt.Errorf("%q: want a size such as 10MB", b)
	}
	*s = size(f)
	return nil
}
