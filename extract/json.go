package extract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxExact is 2^53: up to it every integer is a float64.
const maxExact = 1 << 53

// DecodeJSON reads one JSON value with nothing after it: nil, bool, string,
// []any, map[string]any and numbers. A number is a float64, except that an integer
// beyond 2^53 stays exact as an int64, or as a [json.Number] when it does not fit, and a
// number beyond float64's range is a json.Number too. Of equal names in one
// object the last counts. The value shares nothing with b.
func DecodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("JSON: nothing there")
		}
		return nil, fmt.Errorf("JSON: %w", err)
	}
	end := d.InputOffset()
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("JSON: more than one value, the first ends at byte %d", end)
	}
	return exact(v), nil
}

// exact replaces, in place, the numbers of v by what DecodeJSON promises.
func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}

// number reads a JSON number.
func number(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil:
			return json.Number(s)
		case n < -maxExact || n > maxExact:
			return n
		}
		return float64(n)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return json.Number(s)
	}
	return f
}

// fieldValue makes a JSON value one of [muster.Field]: numbers that are no float64 become
// their digits, objects and arrays compact JSON.
func fieldValue(v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case json.Number:
		return string(v)
	case []any, map[string]any:
		return compact(v)
	}
	return v
}

// compact writes JSON without blanks, names sorted, "<" and "&" as they are.
func compact(v any) any {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil
	}
	return strings.TrimSuffix(b.String(), "\n")
}
