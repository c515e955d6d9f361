package rollup

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
)

// None is the key of a target that has nothing to be grouped by.
const None = "-"

// maxKey bounds the bytes of a key; a longer one is cut and told apart by its hash.
const maxKey = 512

// By is what results are grouped by. The zero value is by status. It is immutable and safe
// for concurrent use.
type By struct {
	text string
	kind kind
	name string         // of a field, header, label, variable
	rule *extract.Judge // takes the field called name
}

type kind uint8

const (
	byStatus kind = iota
	byCode
	bySize
	byBody
	byField
	byHeader
	byRule
	byOutcome // this one and those after it need no answer
	byFailure
	byReason
	byLabel
	byVar
	byHost
)

var simple = map[string]kind{
	"status": byStatus, "code": byCode, "size": bySize, "body": byBody,
	"outcome": byOutcome, "failure": byFailure, "reason": byReason, "host": byHost,
}

var prefixed = map[string]kind{"field": byField, "header": byHeader, "label": byLabel, "var": byVar}

// ParseBy reads what to group by; the package's documentation lists the forms. An error is
// of kind invalid.
func ParseBy(s string) (By, error) {
	if k, ok := simple[s]; ok {
		return By{text: s, kind: k}, nil
	}
	prefix, name, found := strings.Cut(s, ":")
	if k, ok := prefixed[prefix]; ok && found {
		if name == "" {
			return By{}, muster.Errorf(muster.KindInvalid, "group by %q: want a name behind %s:", s, prefix)
		}
		if k == byHeader {
			name = strings.ToLower(name)
		}
		return By{text: s, kind: k, name: name}, nil
	}
	if isName(s) {
		return By{text: s, kind: byField, name: s}, nil
	}
	return parseRule(s)
}

// parseRule reads NAME=RULE or a rule alone.
func parseRule(s string) (By, error) {
	const name = "key"
	rule := muster.Extract{Name: name, Rule: s}
	text := s
	if left, _, ok := strings.Cut(s, "="); ok && isName(left) {
		var err error
		if rule, err = extract.ParseExtract(s); err != nil {
			return By{}, muster.Errorf(muster.KindInvalid, "group by %q: %w", s, err)
		}
		text = left
	}
	judge, err := extract.Compile(muster.Action{Extract: []muster.Extract{rule}})
	if err != nil {
		return By{}, muster.Errorf(muster.KindInvalid, "group by %q: want status, code, size, body, outcome, failure, reason, host, field:NAME, header:NAME, label:NAME, var:NAME or an extract rule: %w", s, err)
	}
	return By{text: text, kind: byRule, name: rule.Name, rule: judge}, nil
}

// isName reports whether s can be the name of a field: an extracted one, or a probe's own such as cert.issuer.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z' || s[i] == '_'
		if !letter && (i == 0 || s[i] != '-' && s[i] != '.' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != ""
}

// String returns the text that ParseBy was given, without the rule of NAME=RULE.
func (b By) String() string {
	if b.text == "" {
		return "status"
	}
	return b.text
}

// Field returns the name of the extracted field that is grouped by, "" when it is something else. A caller
// who knows the action's fields can tell a misspelt key from a field that found nothing.
func (b By) Field() string {
	if b.kind == byField {
		return b.name
	}
	return ""
}

// NeedsBody reports whether keys depend on the body, which a store may hold elsewhere.
func (b By) NeedsBody() bool {
	return b.kind == byBody || b.kind == bySize || b.kind == byRule && b.rule.NeedsBody()
}

// NeedsTarget reports whether keys depend on the target, and not on its result alone.
func (b By) NeedsTarget() bool { return b.kind >= byLabel || b.kind == byRule }

// Headers returns the headers that keys depend on, in lower case; ["*"] is all of them.
func (b By) Headers() []string {
	switch b.kind {
	case byHeader:
		return []string{b.name}
	case byRule:
		return b.rule.Headers()
	}
	return nil
}

// Key returns the key of r. t may be nil when the target is not at hand: what is the
// target's own is then [None]. The key of a body is the hash of the
// unmasked body and, when the answer is not ok, its reason. The standard error of a
// command that gave up, or printed nothing else, is part of its body.
func (b By) Key(t *muster.Target, r *muster.Result) string {
	if b.kind == byBody && r.Outcome.Answered() {
		r = printed(r)
		return string(appendBody(nil, r.Body, r))
	}
	return string(b.appendKey(nil, t, r))
}

// printed returns r with what a command wrote to standard error behind its body, where that says why it gave
// up or is all there is. Otherwise warnings would tear apart who prints the same.
func printed(r *muster.Result) *muster.Result {
	if r.Outcome == muster.OK && len(r.Body) > 0 {
		return r
	}
	v, _ := r.Field("stderr")
	stderr, _ := v.(string)
	if stderr == "" {
		return r
	}
	both := *r
	both.Body = append(slices.Clip(r.Body), stderr...)
	return &both
}

// appendKey appends the key of r, which is not that of a body.
func (b By) appendKey(dst []byte, t *muster.Target, r *muster.Result) []byte {
	from := len(dst)
	if b.kind < byOutcome && !r.Outcome.Answered() {
		return appendEnd(dst, r)
	}
	dst = b.appendRaw(dst, t, r)
	switch n := len(dst) - from; {
	case n == 0:
		return append(dst, None...)
	case n > maxKey:
		hash := appendHash(nil, dst[from:])
		end := from + maxKey - len(hash) - len("…")
		for !utf8.RuneStart(dst[end]) && end > from {
			end--
		}
		return append(append(dst[:end], "…"...), hash...)
	}
	return dst
}

func (b By) appendRaw(dst []byte, t *muster.Target, r *muster.Result) []byte {
	switch b.kind {
	case byStatus:
		if r.Status == "" {
			return appendEnd(dst, r)
		}
		return append(dst, r.Status...)
	case byCode:
		return strconv.AppendInt(dst, int64(r.Code), 10)
	case bySize:
		return strconv.AppendInt(dst, int64(len(r.Body)), 10)
	case byField:
		v, _ := r.Field(b.name)
		return appendValue(dst, v)
	case byHeader:
		return appendHeader(dst, b.name, r.Header)
	case byRule:
		return b.appendRule(dst, t, r)
	case byOutcome:
		return append(dst, r.Outcome.String()...)
	case byFailure:
		return append(dst, r.Failure.String()...)
	case byReason:
		return append(dst, r.Reason...)
	}
	return b.appendOwn(dst, t)
}

// appendOwn appends what is the target's own.
func (b By) appendOwn(dst []byte, t *muster.Target) []byte {
	switch {
	case t == nil:
		return dst
	case b.kind == byLabel:
		return append(dst, t.Labels[b.name]...)
	case b.kind == byVar:
		return append(dst, t.Vars[b.name]...)
	}
	return append(dst, t.Host...)
}

// appendEnd appends how a target ended that gave no answer.
func appendEnd(dst []byte, r *muster.Result) []byte {
	dst = append(dst, r.Outcome.String()...)
	if r.Failure != muster.NoFailure {
		dst = append(append(dst, ": "...), r.Failure.String()...)
	}
	return dst
}

func (b By) appendRule(dst []byte, t *muster.Target, r *muster.Result) []byte {
	if t == nil {
		t = &muster.Target{ID: r.Target, Index: r.Index}
	}
	applied := *r
	b.rule.Apply(t, &applied)
	v, _ := applied.Field(b.name)
	return appendValue(dst, v)
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(dst, v...)
	case float64:
		return appendFloat(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	}
	return dst
}

// appendFloat writes whole numbers without an exponent up to 2^53.
func appendFloat(dst []byte, v float64) []byte {
	if v > -1<<53 && v < 1<<53 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func appendHeader(dst []byte, name string, header []muster.HeaderField) []byte {
	sep := ""
	for _, h := range header {
		if h.Name == name {
			dst = append(append(dst, sep...), h.Value...)
			sep = ", "
		}
	}
	return dst
}
