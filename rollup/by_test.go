package rollup

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/musterhq/muster"
)

func TestKey(t *testing.T) {
	t.Parallel()
	target := &muster.Target{
		ID: "web1:8080", Host: "web1", Port: 8080,
		Labels: map[string]string{"dc": "ams"}, Vars: map[string]string{"rack": "r7"},
	}
	ok := muster.Result{
		Target: "web1:8080", Outcome: muster.OK, Status: "200 OK", Code: 200, Body: []byte(`{"version":"1.2.3","n":7}`),
		Fields: []muster.Field{{Name: "v", Value: "1.2.3"}, {Name: "n", Value: 7.0}, {Name: "up", Value: true}, {Name: "none", Value: nil}, {Name: "cert.issuer", Value: "CN=ca"}},
		Header: []muster.HeaderField{{Name: "server", Value: "nginx"}, {Name: "via", Value: "a"}, {Name: "via", Value: "b"}},
	}
	refused := muster.Result{Target: "web1:8080"}.Fail(muster.FailRefused, "connection refused")
	denied := muster.Result{Outcome: muster.Denied, Reason: "denied link-local"}
	silent := muster.Result{Outcome: muster.OK} // a failure that was expected
	for _, c := range []struct {
		by   string
		r    muster.Result
		want string
	}{
		{"status", ok, "200 OK"},
		{"status", refused, "failed: refused"},
		{"status", denied, "denied"},
		{"status", silent, "ok"},
		{"code", ok, "200"},
		{"code", denied, "denied"},
		{"size", ok, "25"},
		{"outcome", ok, "ok"},
		{"outcome", refused, "failed"},
		{"failure", refused, "refused"},
		{"failure", ok, "-"},
		{"reason", denied, "denied link-local"},
		{"v", ok, "1.2.3"},
		{"field:n", ok, "7"},
		{"up", ok, "true"},
		{"none", ok, "-"},
		{"cert.issuer", ok, "CN=ca"},
		{"field:cert.issuer", ok, "CN=ca"},
		{"missing", ok, "-"},
		{"v", refused, "failed: refused"},
		{"header:Server", ok, "nginx"},
		{"header:via", ok, "a, b"},
		{"label:dc", refused, "ams"},
		{"label:no", ok, "-"},
		{"var:rack", ok, "r7"},
		{"host", denied, "web1"},
		{"json:$.version", ok, "1.2.3"},
		{"$.n", ok, "7"},
		{`re:"n":(\d)`, ok, "7"},
		{"/nothing/", ok, "-"},
		{"big=expr:code >= 100 ? 'yes' : 'no'", ok, "yes"},
		{"expr:labels.dc + host", ok, "amsweb1"},
		{"json:$.version", denied, "denied"},
	} {
		by, err := ParseBy(c.by)
		if err != nil {
			t.Errorf("ParseBy(%q): %v", c.by, err)
			continue
		}
		if got := by.Key(target, &c.r); got != c.want {
			t.Errorf("%s: key %q, want %q", c.by, got, c.want)
		}
	}
}

func TestKeyWithoutTarget(t *testing.T) {
	t.Parallel()
	r := answer(0, "200 OK", "x")
	for _, by := range []string{"label:a", "var:a", "host"} {
		if got := mustBy(by).Key(nil, &r); got != None {
			t.Errorf("%s: key %q", by, got)
		}
	}
	if got := mustBy("re:.").Key(nil, &r); got != "x" {
		t.Errorf("rule without target: %q", got)
	}
}

func TestParseByErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "field:", "label:", "re:(", "json:$[", "a b", "v=nonsense:x", "9x", ".v", "a.b=nonsense:x"} {
		if by, err := ParseBy(s); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("ParseBy(%q) = %v, %v", s, by, err)
		}
	}
}

func TestByNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		by                  string
		body, target        bool
		headers, expression string
	}{
		{"status", false, false, "", "status"},
		{"body", true, false, "", "body"},
		{"size", true, false, "", "size"},
		{"json:$.a", true, true, "", "json:$.a"},
		{"a=json:$.a", true, true, "", "a"},
		{"header:X-A", false, false, "x-a", "header:X-A"},
		{"label:x", false, true, "", "label:x"},
	} {
		by := mustBy(c.by)
		if by.NeedsBody() != c.body || by.NeedsTarget() != c.target || strings.Join(by.Headers(), ",") != c.headers || by.String() != c.expression {
			t.Errorf("%s: %v %v %v %q", c.by, by.NeedsBody(), by.NeedsTarget(), by.Headers(), by)
		}
	}
	if (By{}).String() != "status" {
		t.Error("the zero By is not by status")
	}
}

func TestLongKeysStayApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1000)
	a := muster.Result{Outcome: muster.OK, Status: "x" + long + "a"}
	b := muster.Result{Outcome: muster.OK, Status: "x" + long + "b"}
	ka, kb := By{}.Key(nil, &a), By{}.Key(nil, &b)
	if ka == kb || len(ka) > maxKey || len(ka) < maxKey-4 || !utf8.ValidString(ka) {
		t.Errorf("keys %q and %q", ka, kb)
	}
}
