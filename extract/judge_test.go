package extract

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/musterhq/muster"
)

const body = `{"version":"1.2.3","load":0.5,"up":true,"id":9007199254740993,"huge":18446744073709551615,"none":null,"list":[1,2,3],"o":{"b":1,"a":"<"}}`

func target() *muster.Target {
	return &muster.Target{ID: "web01", Host: "web01.example", Port: 8080, Labels: map[string]string{"env": "prod"}, Vars: map[string]string{"want": "1.2.3"}}
}

func answer() muster.Result {
	return muster.Result{
		Target: "web01", Outcome: muster.OK, Status: "200 OK", Code: 200, Address: netip.MustParseAddrPort("127.0.0.1:8080"), Attempts: 2, Body: []byte(body),
		Header:  []muster.HeaderField{{Name: "server", Value: "nginx/1.2"}, {Name: "via", Value: "a"}, {Name: "via", Value: "b"}},
		Timings: muster.Timings{Connect: 1500 * time.Microsecond, Total: 12345678 * time.Nanosecond},
	}
}

func compile(t testing.TB, expect string, rules ...string) *Judge {
	t.Helper()
	a := muster.Action{Expect: expect}
	for _, s := range rules {
		x, err := ParseExtract(s)
		if err != nil {
			t.Fatal(err)
		}
		a.Extract = append(a.Extract, x)
	}
	j, err := Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestRules(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]any{
		"re:version.:.([0-9.]+)": "1.2.3", `/"load":[0-9.]+/`: `"load":0.5`, "re:(nothing)?version": nil, "re:absent": nil, "re:": "",
		"$.version": "1.2.3", "json:$.load": 0.5, "$.up": true, "$.id": "9007199254740993", "$.huge": "18446744073709551615", "$.none": nil, "$.absent": nil,
		"$.list": "[1,2,3]", "$.list[*]": "[1,2,3]", "$.list[?@>2]": 3.0, "$.o": `{"a":"<","b":1}`,
		"header:Server": "nginx/1.2", "header:VIA": "a, b", "header:absent": nil,
		"status": 200.0, "code": 200.0, "size": float64(len(body)), "body": body, "ms": 12.345,
		"timing:connect": 1.5, "timing:total": 12.345, "timing:tls": nil,
		"expr:json.load * 2": 1.0, "expr:size": float64(len(body)), "expr:status_text": "200 OK", "expr:json.id": "9007199254740993", "expr:json.huge": "18446744073709551615",
		"expr:map(json.list, # * 2)": "[2,4,6]", "expr:nil": nil, "expr:json.absent.x": nil, "expr:labels.env + vars.want": "prod1.2.3", "expr:json.up": true,
		`expr:header("Server")`: "nginx/1.2", `expr:headers["Via"]`: "a, b", "expr:headers.server": "nginx/1.2", "expr:timings.connect": 1.5, "expr:[host, port, address, target]": `["web01.example",8080,"127.0.0.1:8080","web01"]`,
		"expr:uniq(concat(json.list, [1, 2.0, '1', {a: 1}, {a: 1}, json.id]))": `[1,2,3,"1",{"a":1},9007199254740993]`, "expr:flatten([1, [2, [3]]])": "[1,2,3]", "expr:toJSON([1])": "[\n  1\n]",
		`expr:join(map(json.list, string(#)), "-")`: "1-2-3", `expr:join(split("a b", " "))`: "ab", `expr:repeat("ab", 2) + "c"`: "ababc",
		`expr:duration("1m")`: "1m0s", "expr:attempts": 2.0, "expr:{a: 1}": `{"a":1}`, "expr:json.o.a": "<", `expr:replace(host, "web01", "x")`: "x.example",
	} {
		r := answer()
		compile(t, "", "x="+rule).Apply(target(), &r)
		if got, ok := r.Field("x"); !ok || got != want {
			t.Errorf("%s: %T %v, want %T %v", rule, got, got, want, want)
		}
		if r.Outcome != muster.OK || r.Reason != "" {
			t.Errorf("%s: outcome %v, reason %q", rule, r.Outcome, r.Reason)
		}
	}
}

func TestRulesWithoutJSON(t *testing.T) {
	t.Parallel()
	for _, b := range []string{"", "<html>", "{} {}", "\xff"} {
		r := answer()
		r.Body = []byte(b)
		compile(t, "", "a=$.a", "b=expr:json", "c=expr:a == b", "d=body").Apply(target(), &r)
		want := []muster.Field{{Name: "a"}, {Name: "b"}, {Name: "c", Value: true}, {Name: "d", Value: b}}
		if d := cmp.Diff(want, r.Fields); d != "" {
			t.Errorf("%q: %s", b, d)
		}
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	type verdict struct {
		outcome        muster.Outcome
		reason, detail string
	}
	ok := verdict{outcome: muster.OK}
	unexpected := func(reason, detail string) verdict { return verdict{muster.Unexpected, reason, detail} }
	for expect, want := range map[string]verdict{
		"":                     ok,
		"status == 200":        ok,
		"code in [200, 204]":   ok,
		"  status   ==\n 500 ": unexpected("expect status == 500", ""),
		"json.version == vars.want && labels.env == 'prod'":                   ok,
		"version == '1.2.3' and fields.version startsWith '1.'":               ok,
		"body matches '\"up\":true'":                                          ok,
		"any(json.list, # == 3) && len(filter(json.list, # > 1)) == 2":        ok,
		"json.id == 9007199254740993":                                         ok,
		"json.id == 9007199254740992":                                         unexpected("expect json.id == 9007199254740992", ""),
		"json.huge == '18446744073709551615'":                                 ok,
		"ms < 13 && timings.connect == 1.5 && size > 10 && !truncated":        ok,
		"header('Via') == 'a, b' && headers['SERVER'] contains 'nginx'":       ok,
		"outcome == 'ok' && failure == '' && reason == '' && attempts == 2":   ok,
		"json.absent == nil && json?.absent?.x == nil":                        ok,
		"json.absent.x == 1":                                                  unexpected("expect error: cannot fetch x from <nil>", "cannot fetch x from <nil>"),
		"json.absent > 1":                                                     unexpected("expect error: invalid operation: <nil> > int", "invalid operation: <nil> > int"),
		"json.version":                                                        unexpected("expect error: yields string, want true or false", "yields string, want true or false"),
		"json.list[7] == 1":                                                   unexpected("expect error: index out of range: … (array length is …)", "index out of range: 7 (array length is 3)"),
		"size > 1000 || " + strings.Repeat("status == 500 || ", 10) + "false": unexpected("expect size > 1000 || status == 500 || status == 500 || status == 500 || status == 500…", ""),
	} {
		r := answer()
		compile(t, expect, "version=$.version").Apply(target(), &r)
		if got := (verdict{r.Outcome, r.Reason, r.Detail}); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", expect, got, want)
		}
	}
}

func TestExpectOnNoJSON(t *testing.T) {
	t.Parallel()
	r := answer()
	r.Body = []byte("<html>")
	compile(t, "json.ok").Apply(target(), &r)
	if r.Outcome != muster.Unexpected || r.Reason != "expect error: the body is no JSON" || !strings.Contains(r.Detail, "invalid character '<'") {
		t.Errorf("%v %q %q", r.Outcome, r.Reason, r.Detail)
	}
	r = answer()
	r.Body = nil
	compile(t, "status == 200 || json.ok").Apply(target(), &r)
	if r.Outcome != muster.OK {
		t.Error(r.Reason)
	}
}

func TestApplyOnOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, expect string
		in, want     muster.Result
	}{
		{"answer that the probe disliked", "status == 503", muster.Result{Outcome: muster.Unexpected, Code: 503, Reason: "status 503", Detail: "d", Transient: true, Pushback: true}, muster.Result{Outcome: muster.OK, Code: 503, Pushback: true}},
		{"closed port proved", "failure == 'refused'", muster.Result{Outcome: muster.Failed, Failure: muster.FailRefused, Reason: "r", Detail: "connection refused", Transient: true}, muster.Result{Outcome: muster.OK, Detail: "connection refused"}},
		{"another failure", "failure == 'refused'", muster.Result{Outcome: muster.Failed, Failure: muster.FailTimeout, Detail: "d", Transient: true}, muster.Result{Outcome: muster.Failed, Failure: muster.FailTimeout, Detail: "d", Transient: true}},
		{"open port", "failure == 'refused'", muster.Result{Outcome: muster.OK, Code: 200}, muster.Result{Outcome: muster.Unexpected, Code: 200, Reason: "expect failure == 'refused'"}},
		{"failure with an error", "failure == '' || json.x.y", muster.Result{Outcome: muster.Failed, Failure: muster.FailDNS}, muster.Result{Outcome: muster.Failed, Failure: muster.FailDNS}},
		{"failure not named", "true", muster.Result{Outcome: muster.Failed, Failure: muster.FailDNS}, muster.Result{Outcome: muster.Failed, Failure: muster.FailDNS}},
	} {
		r := c.in
		compile(t, c.expect).Apply(target(), &r)
		if d := cmp.Diff(c.want, r, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	j := compile(t, "failure == '' || true", "x=expr:1")
	for _, o := range []muster.Outcome{0, muster.Canceled, muster.NotAttempted, muster.Denied, muster.Invalid, muster.Lost} {
		r := muster.Result{Outcome: o, Reason: "kept"}
		j.Apply(target(), &r)
		if d := cmp.Diff(muster.Result{Outcome: o, Reason: "kept"}, r, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
			t.Errorf("%v: %s", o, d)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expect, extract, want string }{
		{"status = 200", "", `expect "status = 200", column 8: `},
		{"statu == 200", "", `expect "statu == 200", column 1: unknown name statu; there are status, code,`},
		{"vrsion == 1", "version=$.v", "fields, and the fields version"},
		{"true &&\n nope", "", `expect "true && nope", line 2, column 2: unknown name nope`},
		{"size", "", "expected bool, but got int"},
		{"status + 'x' == 1", "", "column 8: invalid operation: + (mismatched types int and string)"},
		{"body matches '['", "", "missing closing ]"},
		{"$env.status == 1", "", "unknown name $env"},
		{"__step(1) == 1", "", "unknown name __step"},
		{"size > 1", "size=$.size", "size is both a field and built in: write fields.size"},
		{strings.Repeat("(", 20000), "", "20000 bytes, want at most 16384"},
		{"true" + strings.Repeat(" && true", 1000), "", "exceeds"},
		{"", "a=expr:b", `extract a "b", column 1: unknown name b`},
		{"", "a b=$.x", "extract: a field's name has letters"},
		{"", "1=$.x", "extract: a field's name has letters"},
		{"", "a=", `extract a: "" is no rule; want one of re:PATTERN`},
		{"", "a=version", `extract a: "version" is no rule`},
		{"", "a=header:", "is no rule"},
		{"", "a=re:(", "extract a: error parsing regexp: missing closing )"},
		{"", "a=$.", `extract a: JSONPath "$.", column 3: want a name`},
		{"", "a=timing:dns", `extract a: no phase "dns"; there are resolve`},
	} {
		a := muster.Action{Expect: c.expect}
		if name, rule, ok := strings.Cut(c.extract, "="); ok {
			a.Extract = []muster.Extract{{Name: name, Rule: rule}}
		}
		j, err := Compile(a)
		if err == nil || j != nil || !strings.Contains(err.Error(), c.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%.40q %q:\n got %v\nwant %s", c.expect, c.extract, err, c.want)
		}
	}
	_, err := Compile(muster.Action{Expect: "nope", Extract: []muster.Extract{{Name: "a", Rule: "x"}, {Name: "b", Rule: "status"}, {Name: "b", Rule: "ms"}}})
	for _, want := range []string{"unknown name nope", "extract a:", "extract b: there is another"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestParseExtract(t *testing.T) {
	t.Parallel()
	x, err := ParseExtract("v-1=re:a=(b)")
	if err != nil || x != (muster.Extract{Name: "v-1", Rule: "re:a=(b)"}) {
		t.Error(x, err)
	}
	for _, s := range []string{"", "a", "=b", "a=b", "a=re:("} {
		if _, err := ParseExtract(s); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expect, rule string
		body         bool
		headers      []string
	}{
		{"", "", false, nil},
		{"status == 200", "a=ms", false, nil},
		{"json.x", "", true, nil},
		{"size > 0", "", true, nil},
		{"", "a=$.a", true, nil},
		{"header('X-B') == headers.c", "a=header:A", false, []string{"a", "c", "x-b"}},
		{"headers['D'] == '' && header(body) == ''", "", true, []string{"*"}},
		{"len(headers) > 0", "a=header:A", false, []string{"*"}},
	} {
		var rules []string
		if c.rule != "" {
			rules = []string{c.rule}
		}
		j := compile(t, c.expect, rules...)
		if j.NeedsBody() != c.body || !slices.Equal(j.Headers(), c.headers) || j.NeedsHeaders() != (c.headers != nil) {
			t.Errorf("%s %s: body %v, headers %q", c.expect, c.rule, j.NeedsBody(), j.Headers())
		}
	}
}

func TestBuiltInNamesAreTheEnvironment(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	typ := reflect.TypeFor[environment]()
	for field := range typ.Fields() {
		names[field.Tag.Get("expr")] = true
	}
	delete(names, "__step")
	if d := cmp.Diff(names, builtIn); d != "" {
		t.Error(d)
	}
}

func TestHostileWorkIsBounded(t *testing.T) {
	t.Parallel()
	big := []byte("[" + strings.Repeat("1,", 100_000) + "1]")
	for _, expect := range []string{
		"all(json, all(json, # == 1))",
		"none(json, 'x' in json)",
		"len(map(1..100000000, #)) > 0",
		"repeat(body, 1000000) == ''",
		"replace(body, '', body) == ''",
		"len(join(map(1..2000, body))) == 0",
		"len(toJSON(map(1..2000, body))) == 0",
		"len(flatten(map(1..2000, json))) == 0",
		"let a = body + body; let b = a + a + a + a; let c = b + b + b + b; let d = c + c + c + c; len(d + d + d + d) == 0",
		"reduce(1..60, #acc + #acc, body) == ''",
	} {
		r := answer()
		r.Body = big
		compile(t, expect).Apply(target(), &r)
		if r.Outcome != muster.Unexpected || !strings.HasPrefix(r.Reason, "expect error: ") {
			t.Errorf("%s: %v %q", expect, r.Outcome, r.Reason)
		}
	}
}

func TestConcurrentApply(t *testing.T) {
	t.Parallel()
	j := compile(t, "any(json.list, # == 3) && version == vars.want", "version=$.version", "e=expr:json.nope.x")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				tg, r := target(), answer()
				want := muster.OK
				if i%2 == 1 {
					tg.Vars = map[string]string{"want": "other"}
					want = muster.Unexpected
				}
				if j.Apply(tg, &r); r.Outcome != want {
					t.Errorf("%v, want %v", r.Outcome, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestFilter(t *testing.T) {
	t.Parallel()
	failed := muster.Result{Target: "x", Outcome: muster.Failed, Failure: muster.FailTimeout, Reason: "r"}
	good := answer()
	good.Fields = []muster.Field{{Name: "version", Value: "1.2.3"}}
	for _, c := range []struct {
		text       string
		good, fail bool
	}{
		{"outcome == 'failed' && failure == 'timeout' && reason == 'r'", false, true},
		{"version == '1.2.3'", true, false},
		{"fields.version == nil", false, true},
		{"fields['other-name'] == nil", true, true},
		{"ms > 5 or target == 'x'", true, true},
	} {
		f, err := CompileFilter(c.text, "version")
		if err != nil {
			t.Fatal(err)
		}
		a, errA := f.Match(target(), &good)
		b, errB := f.Match(nil, &failed)
		if err := errors.Join(errA, errB); err != nil || a != c.good || b != c.fail {
			t.Errorf("%s: %v, %v, %v", c.text, a, b, err)
		}
	}
	if _, err := CompileFilter("version == '1'"); err == nil || !strings.Contains(err.Error(), `filter "version == '1'", column 1: unknown name version`) {
		t.Error(err)
	}
	f, err := CompileFilter("json.a.b && header('x') == ''")
	if err != nil || !f.NeedsBody() || !slices.Equal(f.Headers(), []string{"x"}) {
		t.Fatal(err)
	}
	if _, err := f.Match(nil, &good); err == nil || err.Error() != `filter "json.a.b && header('x') == ''" on web01: cannot fetch b from <nil>` {
		t.Error(err)
	}
}

// TestOwnFields judges by fields that the probe itself has put into the result.
func TestOwnFields(t *testing.T) {
	t.Parallel()
	r := muster.Result{Outcome: muster.OK, Fields: []muster.Field{
		{Name: "rcode", Value: "NOERROR"}, {Name: "cert.days_left", Value: 12.0}, {Name: "cert.subject.cn", Value: "a"},
	}}
	for expect, want := range map[string]muster.Outcome{
		`rcode == "NOERROR"`:             muster.OK,
		`cert.days_left > 30`:            muster.Unexpected,
		`cert.subject.cn == "a"`:         muster.OK,
		`fields["cert.days_left"] == 12`: muster.OK,
		`half == 6`:                      muster.OK,
		`cert.missing == nil`:            muster.OK,
	} {
		j, err := Compile(muster.Action{
			Expect: expect, Extract: []muster.Extract{{Name: "half", Rule: "expr:cert.days_left / 2"}},
		}, "rcode", "cert.days_left", "cert.subject.cn")
		if err != nil {
			t.Fatal(err)
		}
		got := r
		got.Fields = slices.Clone(r.Fields)
		if j.Apply(&muster.Target{}, &got); got.Outcome != want {
			t.Errorf("%s: %v (%s), want %v", expect, got.Outcome, got.Detail, want)
		}
		if len(got.Fields) != 4 || got.Fields[3].Name != "half" || got.Fields[3].Value != 6.0 {
			t.Errorf("%s: fields %v", expect, got.Fields)
		}
	}
	if _, err := Compile(muster.Action{Expect: "loss == 0"}, "rcode"); err == nil {
		t.Error("a field that no probe has was taken")
	}
}
