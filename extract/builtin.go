package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
)

var errLongText = errors.New("a text grows beyond the limit")

// boundedBuiltins replaces the functions of expr that can make a huge value of a
// small one, or take quadratic time, by the same within bounds.
func boundedBuiltins() []expr.Option {
	return []expr.Option{
		expr.Function("repeat", repeat, new(func(string, int) string)),
		expr.Function("replace", replace, new(func(string, string, string) string)),
		expr.Function("join", join, new(func([]any, string) string), new(func([]any) string), new(func([]string, string) string), new(func([]string) string)),
		expr.Function("toJSON", toJSON, new(func(any) string)),
		expr.Function("flatten", flatten, new(func([]any) []any)),
		expr.Function("uniq", uniq, new(func([]any) []any), new(func([]string) []any)),
	}
}

func repeat(ps ...any) (any, error) {
	s, n := ps[0].(string), ps[1].(int)
	if n < 0 || len(s) > 0 && n > maxString/len(s) {
		return nil, errLongText
	}
	return strings.Repeat(s, n), nil
}

func replace(ps ...any) (any, error) {
	s, from, to := ps[0].(string), ps[1].(string), ps[2].(string)
	if grow := len(to) - len(from); grow > 0 && strings.Count(s, from) > (maxString-len(s))/grow {
		return nil, errLongText
	}
	return strings.ReplaceAll(s, from, to), nil
}

func join(ps ...any) (any, error) {
	glue := ""
	if len(ps) > 1 {
		glue = ps[1].(string)
	}
	var parts []string
	size := 0
	for v := range elements(ps[0]) {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("join of %T, want texts", v)
		}
		if size += len(s) + len(glue); size > maxString {
			return nil, errLongText
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, glue), nil
}

func elements(array any) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		switch a := array.(type) {
		case []any:
			for _, v := range a {
				if !yield(v) {
					return
				}
			}
		case []string:
			for _, v := range a {
				if !yield(v) {
					return
				}
			}
		}
	}
}

func toJSON(ps ...any) (any, error) {
	if left := maxString; !within(ps[0], &left) {
		return nil, errLongText
	}
	b, err := json.MarshalIndent(ps[0], "", "  ")
	return string(b), err
}

func flatten(ps ...any) (any, error) {
	if left := maxBuiltValues; !within(ps[0], &left) {
		return nil, errors.New("a list grows beyond the limit")
	}
	return appendFlat([]any{}, ps[0]), nil
}

func appendFlat(out []any, v any) []any {
	a, ok := v.([]any)
	if !ok {
		return append(out, v)
	}
	for _, v := range a {
		out = appendFlat(out, v)
	}
	return out
}

// within takes what v holds, in bytes of text and number of values, off left
// and reports whether there was enough. It stops where there is not.
func within(v any, left *int) bool {
	*left--
	switch v := v.(type) {
	case string:
		*left -= len(v)
	case []any:
		for _, child := range v {
			if !within(child, left) {
				return false
			}
		}
	case map[string]any:
		for k, child := range v {
			if *left -= len(k); !within(child, left) {
				return false
			}
		}
	}
	return *left >= 0
}

// uniq keeps the first of equal elements, in linear time.
func uniq(ps ...any) (any, error) {
	seen, out := map[any]bool{}, []any{}
	for v := range elements(ps[0]) {
		key := v
		switch n := v.(type) {
		case int:
			key = integerValue(int64(n))
		case int64:
			key = integerValue(n)
		case string, float64, bool, nil:
		default:
			key = [1]any{compact(v)} // no text equals it
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, v)
		}
	}
	return out, nil
}
