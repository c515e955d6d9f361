package inventory_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory"
	"pgregory.net/rapid"
)

func TestSelector(t *testing.T) {
	t.Parallel()
	x := &muster.Target{
		ID: "gw", Host: "web12", Port: 8080,
		Labels: map[string]string{"rack": "r1", "env": "prod", "empty": "", "group": "web,canary", "a b": "x,y"},
	}
	tests := map[string]bool{
		"":                              true,
		"rack=r1":                       true,
		"rack==r1":                      true,
		"rack=r2":                       false,
		" rack = r1 , env != dev ":      true,
		"rack=r1,env!=prod":             false,
		"rack":                          true,
		"!rack":                         false,
		"none":                          false,
		"! none":                        true,
		"none!=x":                       true,
		"none=":                         false,
		"empty=":                        true,
		"empty":                         true,
		"env in (dev, prod)":            true,
		"env in(dev)":                   false,
		"env notin (dev,prod)":          false,
		"none notin (a)":                true,
		"in in (a)":                     false,
		"'a b'=\"x,y\"":                 true,
		"rack=~r[0-9]{1,2},env=prod":    true,
		"rack=~r":                       false,
		"rack=~'r.'":                    true,
		"rack=~r(1|2,3),none!~x":        true,
		"rack!~r.":                      false,
		"none=~.*":                      false,
		"group=web":                     true,
		"group=canary":                  true,
		"group=db":                      false,
		"group!=web":                    false,
		"group!=db":                     true,
		"group in (db,canary)":          true,
		"group=~can.*":                  true,
		"group":                         true,
		"host=web12,port=8080,id=gw":    true,
		"port=80":                       false,
		"port":                          true,
		"host=~web1[0-9]":               true,
		"kubernetes.io/zone notin (a,)": true,
	}
	for text, want := range tests {
		s, err := inventory.ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Match(x); got != want {
			t.Errorf("%q is %v", text, got)
		}
		if strings.TrimSpace(text) != "" && s.String() != text {
			t.Errorf("%q shows itself as %q", text, s)
		}
	}
	bare, _ := inventory.ParseSelector("port")
	if bare.Match(&muster.Target{}) {
		t.Error("a target without a port of its own has one")
	}
}

func TestSelectorErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text   string
		column int
		want   string
	}{
		{"=x", 1, "name of a label"},
		{"rack=r1,", 9, "name of a label"},
		{"rack=r1,,b", 9, "name of a label"},
		{"rack r1", 6, "want a comma or the end"},
		{"rack='r1", 6, "quote not closed"},
		{"env in prod", 8, "want a list"},
		{"env in (a,b", 8, "list not closed"},
		{"env in (a b)", 11, "closing bracket"},
		{"rack=~r[", 7, "missing closing ]"},
		{"rack=~a)(b", 7, "unexpected )"},
		{"!rack=r1", 1, "leave one of them out"},
		{"!rack=~r1", 1, "leave one of them out"},
		{"(", 1, "name of a label"},
	}
	for _, tt := range tests {
		_, err := inventory.ParseSelector(tt.text)
		se, ok := errors.AsType[*inventory.SyntaxError](err)
		if !ok || se.Offset+1 != tt.column || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v\nwant column %d and %q", tt.text, err, tt.column, tt.want)
		}
	}
}

func TestSelectorsAgreeWithAModel(t *testing.T) {
	t.Parallel()
	keys, values := []string{"a", "b", "c"}, []string{"x", "y", "", "x y"}
	quote := func(v string) string {
		if strings.Contains(v, " ") {
			return "'" + v + "'"
		}
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.MapOf(rapid.SampledFrom(keys), rapid.SampledFrom(values)).Draw(t, "labels")
		var parts []string
		want := true
		for range rapid.IntRange(1, 4).Draw(t, "requirements") {
			k := rapid.SampledFrom(keys).Draw(t, "key")
			vs := rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, "values")
			got, has := labels[k]
			quoted := make([]string, len(vs))
			for i, v := range vs {
				quoted[i] = quote(v)
			}
			list := "(" + strings.Join(quoted, ",") + ")"
			in := has && slices.Contains(vs, got)
			form := rapid.IntRange(0, 7).Draw(t, "form")
			parts = append(parts, []string{
				k, "!" + k, k + "=" + quoted[0], k + "!=" + quoted[0], k + " in " + list, k + " notin " + list,
				k + "=~" + regexp.QuoteMeta(vs[0]), k + "!~" + regexp.QuoteMeta(vs[0]),
			}[form])
			is := has && got == vs[0]
			want = want && []bool{has, !has, is, !is, in, !in, is, !is}[form]
		}
		text := strings.Join(parts, " , ")
		s, err := inventory.ParseSelector(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := s.Match(&muster.Target{Labels: labels}); got != want {
			t.Fatalf("%q on %v is %v", text, labels, got)
		}
	})
}

func FuzzSelector(f *testing.F) {
	for _, s := range []string{"rack=r1,env!=dev", "!a", "a in (b,'c d')", "x=~r[0-9]{1,2},y", "a!~b", "'q'=\"v\"", "group=web"} {
		f.Add(s, "r1")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		s, err := inventory.ParseSelector(text)
		if err != nil {
			if _, ok := errors.AsType[*inventory.SyntaxError](err); !ok {
				t.Fatalf("%q: error without a place: %v", text, err)
			}
			return
		}
		x := &muster.Target{ID: value, Host: value, Labels: map[string]string{"rack": value, "a": value, "group": value}}
		got := s.Match(x)
		again, err := inventory.ParseSelector(s.String())
		if err != nil || again.Match(x) != got {
			t.Fatalf("%q read again: %v", text, err)
		}
	})
}
