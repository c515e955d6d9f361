package sink

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// CSV writes a header and a record per result as RFC 4180 has them, lines ending in CR LF.
//
// A cell of text that a spreadsheet would take for a formula, because it starts with = + - @,
// a tab or a carriage return, gets an apostrophe in front, unless it is a number. Set Raw to
// leave such cells alone.
type CSV struct {
	// W must be set.
	W io.Writer
	// Columns are the columns in order: target, address, index, outcome, failure, reason,
	// detail, status, code, ms, resolve, connect, tls, first_byte, started, attempts, body, size,
	// truncated, header:NAME, or field:NAME, which may also be the bare name of a field. Nil is
	// [DefaultColumns] and one column for each of Fields.
	Columns []string
	// Fields are the names of the action's extracted fields. They are looked at
	// when Columns is nil.
	Fields []string
	// Raw writes cells as they are, formulas included.
	Raw bool

	out     output
	buf     []byte
	columns []column
}

var _ muster.Sink = (*CSV)(nil)

// DefaultColumns returns the columns of a CSV that names none.
func DefaultColumns() []string {
	return []string{"target", "address", "outcome", "failure", "reason", "status", "code", "ms", "attempts"}
}

// Write writes rs; the first call writes the header before them.
func (c *CSV) Write(_ context.Context, rs []muster.Result) error {
	c.buf = c.buf[:0]
	c.begin()
	for i := range rs {
		for k, col := range c.columns {
			if k > 0 {
				c.buf = append(c.buf, ',')
			}
			text, numeric := col.cell(&rs[i])
			c.buf = appendCell(c.buf, text, numeric || c.Raw)
		}
		c.buf = c.out.spill(c.W, append(c.buf, '\r', '\n'))
	}
	return c.out.write(c.W, c.buf)
}

// Close writes the header if nothing was written, and reports what no Write has
// reported. It does not close W.
func (c *CSV) Close() error {
	c.buf = c.buf[:0]
	c.begin()
	if len(c.buf) > 0 && c.out.err == nil {
		return c.out.write(c.W, c.buf)
	}
	return c.out.close()
}

// begin resolves the columns and gathers the header, the first time.
func (c *CSV) begin() {
	if c.columns != nil {
		return
	}
	names := c.Columns
	if names == nil {
		names = DefaultColumns()
		for _, f := range c.Fields {
			names = append(names, "field:"+f)
		}
	}
	c.columns = make([]column, 0, len(names))
	for i, name := range names {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = appendCell(c.buf, strings.TrimPrefix(name, "field:"), c.Raw)
		c.columns = append(c.columns, columnOf(name))
	}
	c.buf = append(c.buf, '\r', '\n')
}

// column is one column: cell returns a result's text for it, and whether it is a number of ours.
type column struct {
	cell func(r *muster.Result) (text string, numeric bool)
}

func columnOf(name string) column {
	if field, ok := strings.CutPrefix(name, "field:"); ok {
		return fieldColumn(field)
	}
	if header, ok := strings.CutPrefix(name, "header:"); ok {
		return headerColumn(strings.ToLower(header))
	}
	if text := textColumn(name); text != nil {
		return column{func(r *muster.Result) (string, bool) { return text(r), false }}
	}
	if number := numberColumn(name); number != nil {
		return column{func(r *muster.Result) (string, bool) { return number(r), true }}
	}
	return fieldColumn(name)
}

func textColumn(name string) func(*muster.Result) string {
	switch name {
	case "target":
		return func(r *muster.Result) string { return r.Target }
	case "outcome":
		return func(r *muster.Result) string { return r.Outcome.String() }
	case "failure":
		return func(r *muster.Result) string { return r.Failure.String() }
	case "reason":
		return func(r *muster.Result) string { return r.Reason }
	case "detail":
		return func(r *muster.Result) string { return r.Detail }
	case "status":
		return func(r *muster.Result) string { return r.Status }
	case "body":
		return func(r *muster.Result) string { return string(r.Body) }
	}
	return nil
}

func numberColumn(name string) func(*muster.Result) string {
	millis := func(d time.Duration) string { return string(appendMillis(nil, d)) }
	switch name {
	case "index":
		return func(r *muster.Result) string { return strconv.Itoa(r.Index) }
	case "code":
		return func(r *muster.Result) string { return strconv.Itoa(r.Code) }
	case "attempts":
		return func(r *muster.Result) string { return strconv.Itoa(r.Attempts) }
	case "size":
		return func(r *muster.Result) string { return strconv.Itoa(len(r.Body)) }
	case "truncated":
		return func(r *muster.Result) string { return strconv.FormatBool(r.Truncated) }
	case "ms":
		return func(r *muster.Result) string { return millis(r.Timings.Total) }
	case "resolve":
		return func(r *muster.Result) string { return millis(r.Timings.Resolve) }
	case "connect":
		return func(r *muster.Result) string { return millis(r.Timings.Connect) }
	case "tls":
		return func(r *muster.Result) string { return millis(r.Timings.TLS) }
	case "first_byte":
		return func(r *muster.Result) string { return millis(r.Timings.FirstByte) }
	}
	return addressOrTime(name)
}

func addressOrTime(name string) func(*muster.Result) string {
	switch name {
	case "address":
		return (*muster.Result).AddressText
	case "started":
		return func(r *muster.Result) string {
			if r.Started.IsZero() {
				return ""
			}
			return r.Started.UTC().Format(timeLayout)
		}
	}
	return nil
}

func fieldColumn(name string) column {
	return column{func(r *muster.Result) (string, bool) {
		v, _ := r.Field(name)
		return fieldText(v), isNumber(v)
	}}
}

func headerColumn(name string) column {
	return column{func(r *muster.Result) (string, bool) {
		var values []string
		for _, h := range r.Header {
			if h.Name == name {
				values = append(values, h.Value)
			}
		}
		return strings.Join(values, ", "), false
	}}
}

func isNumber(v any) bool {
	_, ok := v.(float64)
	return ok
}

// fieldText is how people see an extracted value: text as it is, nothing for nil.
func fieldText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return string(appendValue(nil, v))
}

// appendCell writes one cell, in quotes where RFC 4180 asks for them. safe says that
// the cell is no formula whatever it starts with.
func appendCell(dst []byte, s string, safe bool) []byte {
	guard := !safe && s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0
	if guard {
		_, err := strconv.ParseFloat(s, 64)
		guard = err != nil
	}
	if !strings.ContainsAny(s, ",\"\r\n") && !guard && !strings.HasPrefix(s, " ") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	if guard {
		dst = append(dst, '\'')
	}
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
