package vars

import (
	"testing"

	"github.com/musterhq/muster"
)

var seeds = []string{
	"", "x", "{{.id}}", "{{.a | urlquery}}{{.port}}", `{{if eq .a "b" | not}}{{else if .b}}{{end}}`, "{{/* c */ -}} x",
	`{{secret "env:X" | json | json | sh}}`, `{{index .vars "a"}}`, "{{((.a))}}", `{{define "x"}}{{template "x"}}{{end}}`, "{{range .a}}{{end}}",
	"{{$x := 1}}{{$x}}", "{{printf \"%*d\" 99999999 1}}", "{{.a.b.c}}", "{{json .labels}}", "{{with .a}}{{break}}{{end}}", "{{1e309}}{{'\\''}}",
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := Parse("t", text)
		if (tpl == nil) == (err == nil) {
			t.Fatal(tpl, err)
		}
		if err == nil {
			checkExpansion(t, tpl, &muster.Target{ID: "i", Host: "h"})
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, "it's", "label", "secret")
	}
	f.Fuzz(func(t *testing.T, text, a, l, secret string) {
		p := Parser{Secret: func(string) (muster.Secret, error) { return muster.NewSecret(secret), nil }}
		tpl, err := p.Parse("t", text)
		if err != nil {
			return
		}
		checkExpansion(t, tpl, &muster.Target{ID: "i", Host: "h", Port: 1, Vars: map[string]string{"a": a}, Labels: map[string]string{"l": l}})
	})
}

func checkExpansion(t *testing.T, tpl *Template, tg *muster.Target) {
	got, err := tpl.Expand(tg)
	if err != nil {
		if muster.KindOf(err) != muster.KindInvalid || got != "" {
			t.Fatal(got, err)
		}
		return
	}
	if len(got) > MaxSize {
		t.Fatal(len(got))
	}
	if s, ok := tpl.Static(); ok && s != got {
		t.Fatalf("static %q, expanded %q", s, got)
	}
	if b, err := tpl.Append([]byte("x"), tg); err != nil || string(b) != "x"+got {
		t.Fatal(string(b), err)
	}
	if len(tpl.Names()) == 0 {
		if other, err := tpl.Expand(&muster.Target{}); err != nil || other != got {
			t.Fatalf("no names, but %q and %q, %v", got, other, err)
		}
	}
}
