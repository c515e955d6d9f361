package rollup

import (
	"strings"

	"github.com/musterhq/muster"
)

// Masks says in what bodies may differ and still be identical. The zero value masks nothing.
//
//   - MaskTime: dates and times of day (RFC 3339, RFC 1123 and its kin, Common Log, syslog,
//     2006-01-02, 2006/01/02, 15:04:05) and seconds, milliseconds, micro- and nanoseconds since
//     1970 as whole numbers from 2001 to 2038, become <time>
//   - MaskID: UUIDs, ULIDs, hexadecimal words of 8 and more characters with digits and letters
//     in them, and the values of request, trace, span, correlation, session and transaction
//     ids, become <id>
//   - MaskName: the target's own id, host and the address spoken to, with and without port,
//     become <name>
//
// Each applies to whole words only. Versions (1.2.3), prices, counters and words stay.
type Masks uint8

// The masks.
const (
	MaskTime Masks = 1 << iota
	MaskID
	MaskName

	// MaskAll is all of them.
	MaskAll = MaskTime | MaskID | MaskName
)

var maskNames = []string{"time", "id", "name"}

// ParseMasks reads "all", "none", or names of masks separated by commas: "time,id".
// An error is of kind invalid.
func ParseMasks(s string) (Masks, error) {
	switch s {
	case "all":
		return MaskAll, nil
	case "none", "":
		return 0, nil
	}
	var m Masks
next:
	for word := range strings.SplitSeq(s, ",") {
		for i, name := range maskNames {
			if word == name {
				m |= 1 << i
				continue next
			}
		}
		return 0, muster.Errorf(muster.KindInvalid, "mask %q: want all, none, or some of time, id, name separated by commas", word)
	}
	return m, nil
}

// String returns the text that ParseMasks reads.
func (m Masks) String() string {
	switch m {
	case 0:
		return "none"
	case MaskAll:
		return "all"
	}
	var names []string
	for i, name := range maskNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
