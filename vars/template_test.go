package vars

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster"
)

func web() *muster.Target {
	return &muster.Target{
		Index: 7, ID: "web01", Scheme: "https", Host: "web01.example", Port: 8443, Path: "/p?q=1",
		Labels: map[string]string{"env": "prod", "role": "label", "host": "never"},
		Vars:   map[string]string{"rack": "r 1", "a-b": "dash", "role": "var", "empty": "", "labels": "hidden", "quote": `it's "so"`},
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"plain }} text", "plain }} text"},
		{"{{.id}} {{.index}} {{.host}} {{.name}} {{.port}} {{.scheme}} {{.path}}", "web01 7 web01.example web01.example 8443 https /p?q=1"},
		{"{{.vars.rack}}/{{.labels.env}}/{{.rack}}/{{.env}}", "r 1/prod/r 1/prod"},
		{"{{.role}} {{.labels.role}} {{.host}} {{.labels.host}}", "var label web01.example never"},
		{`{{var "a-b"}} {{index .vars "a-b"}} {{index .labels "env"}} {{.vars.labels}} {{var "labels"}}`, "dash dash prod hidden hidden"},
		{"{{$.rack}}", "r 1"},
		{"{{.rack | urlquery}} {{pathescape .rack}} {{.rack | upper | urlquery}}", "r+1 r%201 R+1"},
		{"{{json .quote}} {{.port | json}} {{json .labels}} {{json true}}", `"it's \"so\"" 8443 {"env":"prod","host":"never","role":"label"} true`},
		{"{{sh .quote}} {{sh .empty}}", `'it'\''s "so"' ''`},
		{"{{b64 .rack}} {{lower \"ABC\"}} {{trim \"  x \"}}", "ciAx abc x"},
		{`{{.nope | default "d"}} {{default "d" .empty}} {{default "d" .rack}} {{.nope | default .rack}}`, "d d r 1 r 1"},
		{`{{if .nope}}a{{else if eq .env "dev" "prod"}}b{{else}}c{{end}}`, "b"},
		{`{{if and .rack (not .empty)}}y{{end}}{{if ne .env "prod"}}n{{end}}`, "y"},
		{`{{or .nope .env}} {{eq .port 8443}} {{eq .port "8443"}}`, "prod true true"},
		{"a {{- /* gone */ -}} b{{\"{{\"}}", "ab{{"},
		{"{{1}} {{'a'}} {{1.50}} {{false}}", "1 97 1.50 false"},
	} {
		tpl, err := Parse("test", c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := tpl.Expand(web()); err != nil || got != c.want {
			t.Errorf("%s\n got %q, %v\nwant %q", c.text, got, err, c.want)
		}
		if got, err := tpl.Append([]byte("x:"), web()); err != nil || string(got) != "x:"+c.want {
			t.Errorf("Append %s: %q, %v", c.text, got, err)
		}
	}
}

func TestBuiltins(t *testing.T) {
	t.Parallel()
	ip := &muster.Target{ID: "x", Host: "fe80::1%eth0", Addr: netip.MustParseAddr("fe80::1%eth0"), Vars: map[string]string{"host": "own"}}
	for text, want := range map[string]string{
		"{{.addr}}":                 "fe80::1%eth0",
		"{{.host}} {{.name}}":       "own fe80::1%eth0",
		"[{{.path}}]":               "[]",
		"{{.port | default 80}}":    "80",
		`{{.scheme|default "tcp"}}`: "tcp",
	} {
		if got := expand(t, text, ip); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func expand(t *testing.T, text string, tg *muster.Target) string {
	t.Helper()
	tpl, err := Parse("test", text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tpl.Expand(tg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{.a":                             "url: line 1: unclosed action",
		"x\n{{.a-b}}":                      `line 2: bad character U+002D '-'; for a name that is no identifier write {{var "a-b"}}`,
		"{{range .a}}{{end}}":              "range is not supported",
		"{{with .a}}{{end}}":               "with is not supported",
		`{{template "x"}}`:                 "template is not supported",
		`{{define "x"}}{{end}}`:            "define and block are not supported",
		`{{block "x" .}}{{end}}`:           "define and block are not supported",
		"{{$x := .a}}":                     "assignments",
		"\n\n{{printf \"%99999999d\" 1}}":  "line 3: no function printf; there are and, b64",
		"{{.}}":                            "want a variable",
		"{{nil}}":                          "nil",
		"{{.a.b}}":                         "want .NAME, .vars.NAME",
		"{{(.a).b}}":                       "not supported here",
		"{{.a .b}}":                        "is not a function",
		"{{.a | .b}}":                      "is not a function",
		"{{lower}}":                        "lower with 0 arguments: want {{lower .name}} or {{.name | lower}}",
		"{{lower .a .b}}":                  "lower with 2 arguments",
		"{{default .a}}":                   "default with 1 arguments",
		"{{var .a}}":                       "with the name in quotes",
		`{{index .a "b"}}`:                 "index: want",
		"{{index .vars .a}}":               "with the name in quotes",
		`{{secret "env:X"}}`:               "secrets are not allowed here",
		`{{secret "hunter2"}}`:             "want a reference in quotes",
		`{{sh "a\x00b"}}`:                  "NUL byte",
		"{{if .a}}":                        "unexpected EOF",
		strings.Repeat("{{if .a}}", 9_999): "unexpected EOF",
		"{{" + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300) + "}}": "nested more than 200 deep",
		strings.Repeat("{{1}}", 10_001):                                         "10001 actions, want at most 10000",
		"{{1}}" + strings.Repeat("x", MaxSize):                                  "16 MiB",
		`{{"\\" ` + strings.Repeat("|json", 40) + "}}":                          "16 MiB",
	} {
		tpl, err := Parse("url", text)
		if err == nil {
			t.Errorf("%.60s: no error, want %q", text, want)
			continue
		}
		if tpl != nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "url: ") || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%.60s: %q of kind %s, want %q", text, err, muster.KindOf(err), want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the message shows it: %v", text, err)
		}
	}
}

func TestPercentInName(t *testing.T) {
	t.Parallel()
	_, err := Parse("body %s%d", "{{")
	if err == nil || !strings.HasPrefix(err.Error(), "body %s%d: line 1: ") {
		t.Error(err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for text, name := range map[string]string{
		"x{{.nope}}":                     "nope",
		"x{{.nope | lower}}":             "nope",
		"x{{.labels.rack}}":              "labels.rack",
		"x{{.vars.env}}":                 "vars.env",
		`x{{eq .nope "a"}}`:              "nope",
		"x{{.nope | lower | default 1}}": "nope",
		"x{{default .none .nope}}":       "none",
		"{{if .id}}{{.addr}}{{end}}":     "addr",
		`{{if .id}}{{var "a b"}}{{end}}`: "a b",
	} {
		tpl, err := Parse("header X", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		dst, err := tpl.Append([]byte("keep"), web())
		m, ok := errors.AsType[*MissingError](err)
		if !ok || m.Variable != name || m.Template != "header X" || m.Target != "web01" || string(dst) != "keep" {
			t.Errorf("%s: %q, %v", text, dst, err)
		}
		if muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: kind %s", text, muster.KindOf(err))
		}
	}
	const want = "header X: target web01 has no variable nope; it has a-b, empty, host, id, index, labels, name, path, port, quote, rack, role, scheme, labels.env, labels.host, labels.role"
	tpl, _ := Parse("header X", "{{.nope}}")
	if _, err := tpl.Expand(web()); err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestExpandErrors(t *testing.T) {
	t.Parallel()
	big := &muster.Target{ID: "big", Vars: map[string]string{"v": strings.Repeat("'", 5<<20), "nul": "a\x00b", "slash": `\\\\\\\\`}}
	for text, want := range map[string]string{
		"{{.v}}{{.v}}{{.v}}{{.v}}": "16 MiB",
		"{{sh .v}}":                "16 MiB",
		"{{.slash" + strings.Repeat(" | json", 40) + "}}": "16 MiB",
		"{{if eq (upper .v) (lower .v)}}{{end}}":          "16 MiB",
		strings.Repeat("{{if eq .v .id}}{{end}}", 9):      "16 MiB",
		"{{sh .nul}}":                "NUL byte",
		"{{.vars}}":                  "a map is no text",
		"{{lower .vars}}":            "a map is no text",
		"{{eq .vars 1}}":             "a map is no text",
		"{{if 1}}{{.labels}}{{end}}": "a map is no text",
	} {
		tpl, err := Parse("t", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if s, err := tpl.Expand(big); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 || s != "" {
			t.Errorf("%.60s: %.200q, want %q", text, fmt.Sprint(err), want)
		}
	}
}

func TestNamesAndStatic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		names  []string
		static bool
	}{
		{"plain", nil, true},
		{"{{/* c */}}", nil, true},
		{`a{{"{{"}}{{lower "B"}}`, nil, true},
		{`{{index .vars "a"}}{{.host}}{{.host}}{{.labels.x}}`, []string{"host", "labels.x", "vars.a"}, false},
		{`{{json .vars}}{{index .vars "a"}}`, []string{"vars", "vars.a"}, false},
		{`{{if .a}}{{.b}}{{else}}{{var "c d"}}{{end}}`, []string{"a", "b", "c d"}, false},
	} {
		tpl, err := Parse("t", c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := tpl.Names(); !slices.Equal(got, c.names) {
			t.Errorf("%s: names %q, want %q", c.text, got, c.names)
		}
		if _, ok := tpl.Static(); ok != c.static {
			t.Errorf("%s: static %v", c.text, ok)
		}
	}
	if s, ok := new(Template).Static(); s != "" || !ok {
		t.Error("the zero template is not static")
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	refs := map[string]string{"env:PW": "hun\x00ter2", "file:/k": "it's"}
	p := Parser{Secret: func(ref string) (muster.Secret, error) {
		if v, ok := refs[ref]; ok {
			return muster.NewSecret(v), nil
		}
		return muster.Secret{}, muster.Errorf(muster.KindNotFound, "not set")
	}}
	for _, c := range []struct{ text, want, redacted string }{
		{`Bearer {{secret "file:/k"}}`, "Bearer it's", "Bearer [redacted]"},
		{`{{secret "file:/k" | b64}}:{{.id}}`, "aXQncw==:web01", "[redacted]:web01"},
		{`{{if .id}}{{.nope | default (secret "file:/k")}}{{end}}`, "it's", "[redacted]"},
	} {
		tpl, err := p.Parse("h", c.text)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := tpl.Expand(web())
		redacted, _ := tpl.Redacted(web())
		_, static := tpl.Static()
		if got != c.want || redacted != c.redacted || !tpl.Secret() || static {
			t.Errorf("%s: %q, %q, secret %v, static %v", c.text, got, redacted, tpl.Secret(), static)
		}
	}
	_, err := p.Parse("h", `{{secret "env:NONE"}}`)
	if muster.KindOf(err) != muster.KindNotFound || err.Error() != "h: line 1: secret env:NONE: not set" {
		t.Error(err)
	}
	if _, err = p.Parse("h", `{{secret "env:PW" | sh}}`); err == nil || strings.Contains(err.Error(), "ter2") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	tpl, err := Parse("t", `{{.host}}{{if .env}}{{.rack | sh}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	tg := web()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if s, err := tpl.Expand(tg); err != nil || s != "web01.example'r 1'" {
					t.Error(s, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
