package extract

import (
	"regexp"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// ParseExtract reads "NAME=RULE" and checks both, except that an expression is
// checked only by [Compile], which knows the fields before it.
func ParseExtract(s string) (muster.Extract, error) {
	name, rule, ok := strings.Cut(s, "=")
	if !ok {
		return muster.Extract{}, muster.Errorf(muster.KindInvalid,
			"extract %q: want NAME=RULE, as in version=$.version", shorten(s))
	}
	x := muster.Extract{Name: name, Rule: rule}
	if err := checkName(x.Name); err != nil {
		return muster.Extract{}, err
	}
	if strings.HasPrefix(rule, "expr:") {
		return x, nil
	}
	if _, err := compileRule(x, nil); err != nil {
		return muster.Extract{}, err
	}
	return x, nil
}

func checkName(name string) error {
	for i, c := range name {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '-')) {
			name = ""
			break
		}
	}
	if name == "" {
		return muster.Errorf(muster.KindInvalid,
			"extract: a field's name has letters, digits, _ and -, and starts with a letter or _")
	}
	return nil
}

// rule is one compiled extract rule.
type rule struct {
	name  string
	wants wants
	take  func(e *evidence) any
}

const ruleForms = "re:PATTERN, /PATTERN/, json:$.PATH, $.PATH, header:NAME, status, code, body, size, ms, timing:PHASE, expr:EXPRESSION"

// compileRule compiles x, which comes after the rules named by fields.
func compileRule(x muster.Extract, fields []string) (rule, error) {
	r := rule{name: x.Name}
	if take := simpleRules[x.Rule]; take != nil {
		r.take, r.wants.body = take, x.Rule == "body" || x.Rule == "size"
		return r, nil
	}
	if len(x.Rule) > 1 && x.Rule[0] == '/' && strings.HasSuffix(x.Rule, "/") {
		return r.regexp(x.Rule[1 : len(x.Rule)-1])
	}
	if strings.HasPrefix(x.Rule, "$") {
		return r.path(x.Rule)
	}
	form, arg, _ := strings.Cut(x.Rule, ":")
	switch {
	case form == "re":
		return r.regexp(arg)
	case form == "json":
		return r.path(arg)
	case form == "header" && arg != "":
		name := strings.ToLower(arg)
		r.wants.headers = []string{name}
		r.take = func(e *evidence) any { return e.headerOrNil(name) }
		return r, nil
	case form == "timing":
		return r.timing(arg)
	case form == "expr":
		return r.expression(arg, fields)
	}
	return r, r.errorf("%q is no rule; want one of %s", shorten(x.Rule), ruleForms)
}

func (r rule) errorf(format string, args ...any) error {
	return muster.Errorf(muster.KindInvalid, "extract "+r.name+": "+format, args...)
}

var simpleRules = map[string]func(e *evidence) any{
	"status": (*evidence).code,
	"code":   (*evidence).code,
	"body":   func(e *evidence) any { return string(e.result.Body) },
	"size":   func(e *evidence) any { return float64(len(e.result.Body)) },
	"ms":     func(e *evidence) any { return milliseconds(e.result.Timings.Total) },
}

func (r rule) regexp(pattern string) (rule, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return r, r.errorf("%w", err)
	}
	group := min(1, re.NumSubexp())
	r.wants.body = true
	r.take = func(e *evidence) any {
		m := re.FindSubmatchIndex(e.result.Body)
		if m == nil || m[2*group] < 0 {
			return nil
		}
		return string(e.result.Body[m[2*group]:m[2*group+1]])
	}
	return r, nil
}

func (r rule) path(text string) (rule, error) {
	p, err := ParseJSONPath(text)
	if err != nil {
		return r, r.errorf("%w", err)
	}
	r.wants.body = true
	r.take = func(e *evidence) any {
		doc, err := e.document()
		if err != nil {
			return nil
		}
		nodes, err := p.Find(doc)
		switch {
		case err != nil || len(nodes) == 0:
			return nil
		case len(nodes) == 1:
			return fieldValue(nodes[0])
		}
		return compact(nodes)
	}
	return r, nil
}

func (r rule) timing(phase string) (rule, error) {
	of := map[string]func(t *muster.Timings) time.Duration{
		"resolve":    func(t *muster.Timings) time.Duration { return t.Resolve },
		"connect":    func(t *muster.Timings) time.Duration { return t.Connect },
		"tls":        func(t *muster.Timings) time.Duration { return t.TLS },
		"first_byte": func(t *muster.Timings) time.Duration { return t.FirstByte },
		"total":      func(t *muster.Timings) time.Duration { return t.Total },
	}[phase]
	if of == nil {
		return r, r.errorf("no phase %q; there are resolve, connect, tls, first_byte, total", phase)
	}
	r.take = func(e *evidence) any {
		if d := of(&e.result.Timings); d > 0 {
			return milliseconds(d)
		}
		return nil
	}
	return r, nil
}

func (r rule) expression(text string, fields []string) (rule, error) {
	x, err := compileExpression("extract "+r.name, text, fields, false)
	if err != nil {
		return r, err
	}
	r.wants = x.wants
	r.take = func(e *evidence) any {
		v, err := x.run(e)
		if err != nil {
			return nil
		}
		return expressionValue(v)
	}
	return r, nil
}
