package extract_test

import (
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
)

func TestChecks(t *testing.T) {
	t.Parallel()
	a := muster.Action{
		Expect: "status < 500",
		Checks: []muster.Check{
			{Name: "two hundred", Expect: "status == 200"},
			{Name: "cookies", Expect: `none(header_values("Set-Cookie"), # matches "^b")`},
			{Name: "json", CEL: "body.n > 2.0 && body.tags.exists(t, t == 'x')"},
		},
	}
	j, err := extract.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(j.Headers(), " "); got != "set-cookie" || !j.NeedsBody() {
		t.Errorf("headers %q, body %v", got, j.NeedsBody())
	}
	cookies := func(values ...string) (hs []muster.HeaderField) {
		for _, v := range values {
			hs = append(hs, muster.HeaderField{Name: "set-cookie", Value: v})
		}
		return hs
	}
	for _, test := range []struct {
		code   int
		body   string
		header []muster.HeaderField
		reason string
	}{
		{200, `{"n": 3, "tags": ["x"]}`, cookies("a=1", "c=1"), ""},
		{503, "", nil, "expect status < 500"},
		{404, "", nil, "two hundred"},
		{200, "{}", cookies("a=1", "b=1"), "cookies"},
		{200, `{"n": 1, "tags": []}`, nil, "json"},
		{200, `{}`, nil, "json error: no such key: n"},
		{200, `nonsense`, nil, "json error: the body is no JSON: invalid character"},
		{200, `{"n": "3"}`, nil, "json error: no such overload"},
	} {
		r := muster.Result{Outcome: muster.OK, Code: test.code, Body: []byte(test.body), Header: test.header}
		j.Apply(&muster.Target{}, &r)
		if (r.Outcome == muster.OK) != (test.reason == "") || !strings.HasPrefix(r.Reason, test.reason) {
			t.Errorf("%d %s %v: %v %q (%s), want %q", test.code, test.body, test.header, r.Outcome, r.Reason, r.Detail, test.reason)
		}
	}
}

func TestCheckMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		check muster.Check
		want  string
	}{
		{muster.Check{Expect: "true"}, "no name"},
		{muster.Check{Name: "a"}, "a: want one of expect and cel"},
		{muster.Check{Name: "a", Expect: "true", CEL: "true"}, "a: want one of expect and cel"},
		{muster.Check{Name: "a", Expect: "nope"}, "unknown name nope"},
		{muster.Check{Name: "a", CEL: "nope == 1"}, "undeclared reference to 'nope'"},
		{muster.Check{Name: "a", CEL: "1 + 1"}, "is of type int, want true or false"},
		{muster.Check{Name: "a", CEL: strings.Repeat("(", 20000)}, "want at most"},
	} {
		_, err := extract.Compile(muster.Action{Checks: []muster.Check{test.check}})
		if err == nil || !strings.Contains(err.Error(), test.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%+v: %v, want %q", test.check, err, test.want)
		}
	}
}

// TestCELIsBounded gives up an evaluation that would take long.
func TestCELIsBounded(t *testing.T) {
	t.Parallel()
	a := muster.Action{Checks: []muster.Check{{Name: "a", CEL: "body.all(a, body.all(b, body.all(c, body.all(d, a + b + c + d >= 0.0))))"}}}
	j, err := extract.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	r := muster.Result{Outcome: muster.OK, Body: []byte("[" + strings.Repeat("1,", 999) + "1]")}
	j.Apply(&muster.Target{}, &r)
	if r.Outcome != muster.Unexpected || !strings.HasPrefix(r.Reason, "a error: ") {
		t.Errorf("%v %q", r.Outcome, r.Reason)
	}
}
