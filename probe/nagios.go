package probe

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// nagiosStates are the meanings of a monitoring plugin's exit status.
var nagiosStates = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// maxPerfdata bounds how many metrics of one plugin are taken.
const maxPerfdata = 256

// nagiosFields takes the fields out of a plugin's output: the text of its first line, and its metrics.
func nagiosFields(out []byte) []muster.Field {
	text, perf := splitPlugin(string(bytes.ToValidUTF8(out, []byte("\uFFFD"))))
	fields := []muster.Field{{Name: "output", Value: text}}
	seen := map[string]bool{}
	for perf != "" && len(seen) < maxPerfdata {
		var m metric
		var ok bool
		if m, perf, ok = nextMetric(perf); ok && !seen[m.label] {
			seen[m.label] = true
			fields = m.appendTo(fields)
		}
	}
	return fields
}

// splitPlugin splits what the plugin guidelines define: the first line's text, "|", the first performance
// data; then lines of text up to another "|", behind which all is performance data.
func splitPlugin(out string) (text, perf string) {
	first, rest, _ := strings.Cut(out, "\n")
	text, perf, _ = strings.Cut(first, "|")
	if _, more, ok := strings.Cut(rest, "|"); ok {
		perf += "\n" + more
	}
	return strings.TrimSpace(text), perf
}

// metric is one item of performance data: 'label'=value[UOM];[warn];[crit];[min];[max].
type metric struct {
	label, uom string
	value      any       // a float64, or nil for "U", a value that the plugin could not determine
	bounds     [4]string // warn, crit, min, max
}

var boundNames = [...]string{".warn", ".crit", ".min", ".max"}

// appendTo appends what the metric states. Bounds that are numbers are that, ranges such as "@10:20" text.
func (m *metric) appendTo(fields []muster.Field) []muster.Field {
	name := "perf." + m.label
	fields = append(fields, muster.Field{Name: name, Value: m.value})
	if m.uom != "" {
		fields = append(fields, muster.Field{Name: name + ".uom", Value: m.uom})
	}
	for i, b := range m.bounds {
		if b == "" {
			continue
		}
		f := muster.Field{Name: name + boundNames[i], Value: b}
		if n, rest, ok := cutNumber(b); ok && rest == "" {
			f.Value = n
		}
		fields = append(fields, f)
	}
	return fields
}

const perfBlank = " \t\r\n"

// nextMetric reads the item at the start of s and returns what follows it. One that is malformed is not ok, and passed over.
func nextMetric(s string) (m metric, rest string, ok bool) {
	s = strings.TrimLeft(s, perfBlank)
	label, s, ok := cutLabel(s)
	item, rest := s, ""
	if end := strings.IndexAny(s, perfBlank); end >= 0 {
		item, rest = s[:end], s[end:]
	}
	if !ok || label == "" {
		return m, rest, false
	}
	m.label = label
	value, bounds, _ := strings.Cut(item, ";")
	for i := range m.bounds {
		m.bounds[i], bounds, _ = strings.Cut(bounds, ";")
	}
	if value == "U" {
		return m, rest, true
	}
	n, uom, ok := cutNumber(value)
	m.value, m.uom = n, uom
	return m, rest, ok && !strings.ContainsAny(uom, "0123456789'\"=,.")
}

// cutLabel reads the label up to and with its equals sign. In a quoted one two quotes stand for one.
func cutLabel(s string) (label, rest string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		end := strings.IndexAny(s, "="+perfBlank)
		if end < 0 || s[end] != '=' {
			return "", s, false
		}
		return s[:end], s[end+1:], true
	}
	var b strings.Builder
	for at := s[1:]; ; {
		part, after, found := strings.Cut(at, "'")
		if !found {
			return "", s, false
		}
		b.WriteString(part)
		if !strings.HasPrefix(after, "'") {
			rest, ok = strings.CutPrefix(after, "=")
			return b.String(), rest, ok
		}
		b.WriteByte('\'')
		at = after[1:]
	}
}

// cutNumber reads a decimal number at the start of s.
func cutNumber(s string) (n float64, rest string, ok bool) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || end == 0 && (s[end] == '-' || s[end] == '+')) {
		end++
	}
	if e := end; e > 0 && e < len(s) && (s[e] == 'e' || s[e] == 'E') {
		digits := e + 1
		if digits < len(s) && (s[digits] == '-' || s[digits] == '+') {
			digits++
		}
		for e = digits; e < len(s) && s[e] >= '0' && s[e] <= '9'; e++ {
		}
		if e > digits {
			end = e
		}
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	return n, s[end:], err == nil
}
