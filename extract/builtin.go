package extract

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr"
)

var errLongText = errors.New("a text of more than 64 MiB")

// boundedBuiltins replaces the functions of expr that can make a huge text of a small one.
func boundedBuiltins() []expr.Option {
	return []expr.Option{
		expr.Function("repeat", func(ps ...any) (any, error) {
			s, n := ps[0].(string), ps[1].(int)
			if n < 0 || len(s) > 0 && n > maxString/len(s) {
				return nil, errLongText
			}
			return strings.Repeat(s, n), nil
		}, new(func(string, int) string)),
		expr.Function("replace", func(ps ...any) (any, error) {
			s, from, to := ps[0].(string), ps[1].(string), ps[2].(string)
			if grow := len(to) - len(from); grow > 0 && strings.Count(s, from) > (maxString-len(s))/grow {
				return nil, errLongText
			}
			return strings.ReplaceAll(s, from, to), nil
		}, new(func(string, string, string) string)),
	}
}
