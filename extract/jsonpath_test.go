package extract

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

func TestRFC9535(t *testing.T) {
	t.Parallel()
	for section, cases := range rfcCases {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				checkRFC(t, c)
			}
		})
	}
}

func checkRFC(t *testing.T, c rfcCase) {
	t.Helper()
	p, err := ParseJSONPath(c.query)
	if c.want == "" {
		if err == nil {
			t.Errorf("%s: accepted, want an error", c.query)
		} else if muster.KindOf(err) != muster.KindInvalid || !strings.Contains(err.Error(), "column") {
			t.Errorf("%s: %v", c.query, err)
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	doc, want := decode(t, c.doc), decode(t, c.want).([]any)
	got, err := p.Find(doc)
	if err != nil {
		t.Error(err)
	}
	if len(want) == 0 && len(got) == 0 {
		return
	}
	if g, w := compact(got), compact(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", c.query, g, w)
	}
}

func decode(t testing.TB, s string) any {
	t.Helper()
	v, err := DecodeJSON([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func TestJSONPathErrors(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]string{
		"a.b":                 `JSONPath "a.b", column 1: want $, as in $.name`,
		"$.é[":                `JSONPath "$.é[", column 5: want a quoted name, an index, a slice, * or a filter starting with ?, got the end`,
		"$.a-b":               `JSONPath "$.a-b", column 4: want a segment such as .name, ..name or ['name'], got '-'`,
		"$[?@.a == b]":        `JSONPath "$[?@.a == b]", column 11: b is neither a literal nor a function: strings need quotes`,
		"$[?@.*==1]":          `JSONPath "$[?@.*==1]", column 4: the query may find more than one node: want names and single indexes only`,
		"$[?size(@)==1]":      `JSONPath "$[?size(@)==1]", column 4: no function size; there are length, count, match, search, value`,
		"$[?match(@.a, '[')]": "JSONPath \"$[?match(@.a, '[')]\", column 15: error parsing regexp: missing closing ]: `[`",
	} {
		if _, err := ParseJSONPath(q); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for _, q := range []string{"$" + strings.Repeat("[?@", 5000), "$[?" + strings.Repeat("(", 5000), "$" + strings.Repeat(".a", 10000), "$['\xff']"} {
		if _, err := ParseJSONPath(q); err == nil || len(err.Error()) > 400 {
			t.Errorf("%.20s: %.500v", q, err)
		}
	}
}

func TestNumbersBeyondFloat64(t *testing.T) {
	t.Parallel()
	for _, c := range []rfcCase{
		{`[1e400,2e400,-1e99999999999999999999,1]`, "$[?@>1e399]", `[1e400,2e400]`},
		{`[1e400,2e400]`, "$[?@==1e400]", `[1e400]`},
		{`[-1e99999999999999999999,1e99999999999999999999,1]`, "$[?@<0]", `[-1e99999999999999999999]`},
		{`[9007199254740993,9007199254740992.0]`, "$[?@==9007199254740992]", `[9007199254740992]`},
	} {
		checkRFC(t, c)
	}
}

func TestFindGivesUp(t *testing.T) {
	t.Parallel()
	doc := decode(t, strings.Repeat("[", 500)+strings.Repeat("]", 500))
	for _, q := range []string{"$..[*]..[*]..[*]..[*]", "$..[*,*,*]..[*,*,*]..[*]", "$..[?@..[?@..[?@]]]"} {
		p, err := ParseJSONPath(q)
		if err != nil {
			t.Fatal(err)
		}
		if nodes, err := p.Find(doc); err == nil || nodes != nil {
			t.Errorf("%s: %d nodes, %v", q, len(nodes), err)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	v := decode(t, ` {"a":[1,-0,1.5,9007199254740992,9007199254740993,-9223372036854775808,18446744073709551615,1e400,1e20],"b":null,"c":true,"c":"x"} `)
	m := v.(map[string]any)
	want := []any{1.0, 0.0, 1.5, 9007199254740992.0, int64(9007199254740993), int64(-9223372036854775808), json.Number("18446744073709551615"), json.Number("1e400"), 1e20}
	for i, w := range want {
		if got := m["a"].([]any)[i]; got != w {
			t.Errorf("%d: %T %v, want %T %v", i, got, got, w, w)
		}
	}
	if m["b"] != nil || m["c"] != "x" {
		t.Error(m)
	}
	for s, want := range map[string]string{"": "nothing there", " ": "nothing there", "{} {}": "more than one value, the first ends at byte 2", "{": "unexpected EOF", "<html>": "invalid character '<'", "[01]": "invalid character"} {
		if _, err := DecodeJSON([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
}

func FuzzJSONPath(f *testing.F) {
	for _, cases := range rfcCases {
		for _, c := range cases[:min(len(cases), 8)] {
			f.Add(c.query, c.doc)
		}
	}
	f.Fuzz(func(t *testing.T, q, doc string) {
		p, err := ParseJSONPath(q)
		if (p == nil) == (err == nil) {
			t.Fatal(p, err)
		}
		if err != nil {
			return
		}
		v, err := DecodeJSON([]byte(doc))
		if err != nil {
			return
		}
		nodes, err := p.Find(v)
		if err == nil && p.Singular() && len(nodes) > 1 {
			t.Fatalf("%s is singular and found %d nodes", q, len(nodes))
		}
	})
}
