package sink

import (
	"encoding/base64"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/musterhq/muster"
)

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendResult appends r to dst as one JSON object without a newline, as --jsonl writes
// it, and returns the extended slice. The line is valid JSON for any bytes in r:
//
//   - target, address, index, outcome, failure, reason, status, code, ms, timings, attempts and
//     fields are always there, address, failure, reason and status as "" when there is none
//   - detail, started, headers, body and truncated only when there is something to say
//   - ms and the timings are milliseconds with three decimals at most; timings has the
//     phases that happened: resolve, connect, tls, first_byte, total
//   - started is RFC 3339 in UTC with milliseconds
//   - headers is an object by lower-case name; a header sent more than once is an array
//   - a body that is not UTF-8 is "body_b64" in standard base64 instead of "body"; in other
//     texts such bytes become U+FFFD
//   - a field that is not a number in JSON's sense (NaN, infinite) is null
//
// It is written by hand: at a million results reflection would cost more than the exchanges.
func AppendResult(dst []byte, r *muster.Result) []byte {
	dst = append(dst, `{"kind":"result","target":`...)
	dst = appendString(dst, r.Target)
	dst = append(dst, `,"address":`...)
	dst = appendAddress(dst, r.Address)
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendInt(dst, int64(r.Index), 10)
	dst = append(dst, `,"outcome":"`...)
	dst = append(dst, r.Outcome.String()...)
	dst = append(dst, `","failure":"`...)
	dst = append(dst, r.Failure.String()...)
	dst = append(dst, `","reason":`...)
	dst = appendString(dst, r.Reason)
	if r.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, r.Detail)
	}
	dst = append(dst, `,"status":`...)
	dst = appendString(dst, r.Status)
	dst = append(dst, `,"code":`...)
	dst = strconv.AppendInt(dst, int64(r.Code), 10)
	dst = append(dst, `,"ms":`...)
	dst = appendMillis(dst, r.Timings.Total)
	dst = appendTimings(dst, &r.Timings)
	dst = append(dst, `,"attempts":`...)
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	if !r.Started.IsZero() {
		dst = append(dst, `,"started":"`...)
		dst = r.Started.UTC().AppendFormat(dst, timeLayout)
		dst = append(dst, '"')
	}
	dst = appendFields(dst, r.Fields)
	dst = appendHeaders(dst, r.Header)
	return append(appendBody(dst, r), '}')
}

func appendAddress(dst []byte, a netip.AddrPort) []byte {
	switch {
	case !a.IsValid():
		return append(dst, `""`...)
	case a.Addr().Zone() != "": // any text
		return appendString(dst, (&muster.Result{Address: a}).AddressText())
	case a.Port() == 0:
		return append(a.Addr().AppendTo(append(dst, '"')), '"')
	}
	return append(a.AppendTo(append(dst, '"')), '"')
}

func appendTimings(dst []byte, t *muster.Timings) []byte {
	dst = append(dst, `,"timings":{`...)
	sep := ""
	for _, phase := range [...]struct {
		name string
		d    time.Duration
	}{
		{"resolve", t.Resolve}, {"connect", t.Connect}, {"tls", t.TLS}, {"first_byte", t.FirstByte}, {"total", t.Total},
	} {
		if phase.d > 0 {
			dst = append(append(append(append(dst, sep...), '"'), phase.name...), `":`...)
			dst = appendMillis(dst, phase.d)
			sep = ","
		}
	}
	return append(dst, '}')
}

func appendFields(dst []byte, fields []muster.Field) []byte {
	dst = append(dst, `,"fields":{`...)
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, f.Name), ':')
		dst = appendValue(dst, f.Value)
	}
	return append(dst, '}')
}

// appendHeaders writes an object; headers of one name become an array.
func appendHeaders(dst []byte, header []muster.HeaderField) []byte {
	if len(header) == 0 {
		return dst
	}
	header = adjoin(header)
	dst = append(dst, `,"headers":{`...)
	for i := 0; i < len(header); {
		if i > 0 {
			dst = append(dst, ',')
		}
		n := 1
		for i+n < len(header) && header[i+n].Name == header[i].Name {
			n++
		}
		dst = append(appendString(dst, header[i].Name), ':')
		dst = appendHeaderValues(dst, header[i:i+n])
		i += n
	}
	return append(dst, '}')
}

func appendHeaderValues(dst []byte, same []muster.HeaderField) []byte {
	if len(same) == 1 {
		return appendString(dst, same[0].Value)
	}
	for i, h := range same {
		dst = append(dst, "[,"[min(i, 1)])
		dst = appendString(dst, h.Value)
	}
	return append(dst, ']')
}

// adjoin returns the headers with those of one name next to each other. Peers choose how many
// there are, so long lists are sorted rather than compared pairwise.
func adjoin(header []muster.HeaderField) []muster.HeaderField {
	const few = 16
	scattered := len(header) > few
	for i := 2; i < len(header) && !scattered; i++ {
		for k := range i - 1 {
			scattered = scattered || header[k].Name == header[i].Name && header[i-1].Name != header[i].Name
		}
	}
	if !scattered {
		return header
	}
	header = slices.Clone(header)
	slices.SortStableFunc(header, func(a, b muster.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	return header
}

func appendBody(dst []byte, r *muster.Result) []byte {
	switch {
	case len(r.Body) == 0:
	case utf8.Valid(r.Body):
		dst = append(dst, `,"body":`...)
		dst = appendString(dst, r.Body)
	default:
		dst = append(dst, `,"body_b64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Body)
		dst = append(dst, '"')
	}
	if r.Truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	return dst
}

// appendMillis writes a duration in milliseconds with microsecond precision.
func appendMillis(dst []byte, d time.Duration) []byte {
	us := max(d, 0).Round(time.Microsecond).Microseconds()
	dst = strconv.AppendInt(dst, us/1000, 10)
	if frac := us % 1000; frac > 0 {
		dst = append(dst, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	return dst
}

// appendValue writes an extracted value; what JSON cannot say of a number is null.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(dst, v)
	case float64:
		return appendNumber(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	}
	return append(dst, "null"...)
}

// appendNumber writes a number as encoding/json does: with an exponent only when it is tiny or huge.
func appendNumber(dst []byte, v float64) []byte {
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(dst, "null"...)
	case v == math.Trunc(v) && abs < 1<<53 && v != 0:
		return strconv.AppendInt(dst, int64(v), 10)
	case abs != 0 && (abs < 1e-6 || abs >= 1e21):
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}
