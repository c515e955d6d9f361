package extract

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// evidence is one result under judgement, with what was computed from it so far.
type evidence struct {
	target  *muster.Target
	result  *muster.Result
	doc     any
	docErr  error
	decoded bool
}

// document returns the body as JSON, decoded once.
func (e *evidence) document() (any, error) {
	if !e.decoded {
		e.doc, e.docErr = DecodeJSON(e.result.Body)
		e.decoded = true
	}
	return e.doc, e.docErr
}

func (e *evidence) code() any {
	if !e.result.Outcome.Answered() {
		return nil
	}
	return float64(e.result.Code)
}

// header joins the values of a header whose name is in lower case (RFC 9110 §5.3).
func (e *evidence) header(name string) (value string, found bool) {
	for _, h := range e.result.Header {
		switch {
		case h.Name != name:
		case found:
			value += ", " + h.Value
		default:
			value, found = h.Value, true
		}
	}
	return value, found
}

// headerValues returns each value of a header whose name is in lower case.
func (e *evidence) headerValues(name string) []string {
	values := []string{}
	for _, h := range e.result.Header {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return values
}

func (e *evidence) headerOrNil(name string) any {
	if v, ok := e.header(name); ok {
		return v
	}
	return nil
}

func (e *evidence) headers() map[string]string {
	m := make(map[string]string, len(e.result.Header))
	for _, h := range e.result.Header {
		if _, ok := m[h.Name]; !ok {
			m[h.Name], _ = e.header(h.Name)
		}
	}
	return m
}

func (e *evidence) fields() map[string]any {
	m := make(map[string]any, len(e.result.Fields))
	for _, f := range e.result.Fields {
		m[f.Name] = f.Value
		if strings.Contains(f.Name, ".") {
			nest(m, f.Name, f.Value)
		}
	}
	return m
}

// nest makes "cert.days_left" the member days_left of cert, for expressions. A field that has the
// name of a member's parent wins.
func nest(m map[string]any, name string, value any) {
	for {
		parent, rest, dotted := strings.Cut(name, ".")
		if !dotted {
			m[name] = value
			return
		}
		child, ok := m[parent].(map[string]any)
		if !ok {
			if _, taken := m[parent]; taken {
				return
			}
			child = map[string]any{}
			m[parent] = child
		}
		m, name = child, rest
	}
}

// milliseconds are exact to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// plainJSON returns v with the numbers that expressions do not know, if there are any,
// replaced by their digits; v itself stays as it is.
func plainJSON(v any) any {
	if !hasBigNumber(v) {
		return v
	}
	switch v := v.(type) {
	case json.Number:
		return string(v)
	case []any:
		c := slices.Clone(v)
		for i := range c {
			c[i] = plainJSON(c[i])
		}
		return c
	case map[string]any:
		c := maps.Clone(v)
		for k := range c {
			c[k] = plainJSON(c[k])
		}
		return c
	}
	return v
}

func hasBigNumber(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case []any:
		return slices.ContainsFunc(v, hasBigNumber)
	case map[string]any:
		for _, child := range v {
			if hasBigNumber(child) {
				return true
			}
		}
	}
	return false
}

// expressionValue makes what an expression yields a field's value.
func expressionValue(v any) any {
	switch v := v.(type) {
	case nil, string, bool, float64, int64, json.Number:
		return fieldValue(v)
	case int:
		return integerValue(int64(v))
	case time.Duration:
		return v.String()
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if doc, err := DecodeJSON(b); err == nil {
		return fieldValue(doc)
	}
	return strings.TrimSpace(string(b))
}

// integerValue keeps integers beyond 2^53 exact.
func integerValue(n int64) any {
	if n < -maxExact || n > maxExact {
		return fieldValue(n)
	}
	return float64(n)
}
