package extract

import (
	"testing"

	"github.com/musterhq/muster"
)

func FuzzApply(f *testing.F) {
	for _, expect := range []string{
		"status == 200", "json.a.b > 1", "any(json, .x == 1)", "failure == 'refused' || body matches 'x'", "len(split(body, '')) > 3",
		"header('a') + headers.b == x", "json?.a ?? true", "sortBy(json, #)[0] == 1", "reduce(json, #acc + #) > 1", "let y = json; y[0:2] == []",
	} {
		f.Add(expect, "$.a", body)
		f.Add(expect, "re:(a)|b", "[1,2,3]")
		f.Add(expect, "expr:json", `{"a":{"b":1e400}}`)
	}
	f.Fuzz(func(t *testing.T, expect, rule, body string) {
		j, err := Compile(muster.Action{Expect: expect, Extract: []muster.Extract{{Name: "x", Rule: rule}}})
		if err != nil {
			if j != nil || muster.KindOf(err) != muster.KindInvalid {
				t.Fatal(j, err)
			}
			return
		}
		r := muster.Result{Outcome: muster.OK, Code: 200, Body: []byte(body)}
		j.Apply(&muster.Target{ID: "t"}, &r)
		if !r.Outcome.Answered() || (r.Outcome == muster.OK) != (r.Reason == "") || len([]rune(r.Reason)) > 100 {
			t.Fatalf("%v %q", r.Outcome, r.Reason)
		}
		switch v := r.Fields[0].Value.(type) {
		case nil, string, float64, bool:
		default:
			t.Fatalf("field of type %T", v)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{body, "", "[1e400,-0]", `{"a":{}}`, "1 2", `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeJSON(b)
		if err != nil {
			return
		}
		text, ok := compact(v).(string)
		if !ok {
			t.Fatalf("%q cannot be written again", b)
		}
		again, err := DecodeJSON([]byte(text))
		if err != nil || compact(again) != text {
			t.Fatalf("%q became %s, then %v, %v", b, text, again, err)
		}
	})
}
