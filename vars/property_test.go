package vars

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"text/template"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func apply(t *rapid.T, f, s string) string {
	tpl, err := Parse("t", "{{."+"v | "+f+"}}")
	if err != nil {
		t.Fatal(err)
	}
	out, err := tpl.Expand(&muster.Target{Vars: map[string]string{"v": s}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFunctionsAgreeWithTheLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		if got, want := apply(t, "urlquery", s), url.QueryEscape(s); got != want {
			t.Errorf("urlquery %q: %s, want %s", s, got, want)
		}
		if got, want := apply(t, "pathescape", s), url.PathEscape(s); got != want {
			t.Errorf("pathescape %q: %s, want %s", s, got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(apply(t, "json", s)), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && back != string([]rune(s)) {
			t.Errorf("json %q: %q, %v", s, back, err)
		}
	})
}

func TestShellTakesTheWordAsItIs(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	for _, s := range []string{"", "a b", `it's`, "''", `$HOME \ "x" $(id) ` + "`id`\n;&|<>*?[~#", "-n", "é\xff"} {
		tpl, err := Parse("t", "printf '%s' {{sh .v}}")
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := tpl.Expand(&muster.Target{Vars: map[string]string{"v": s}})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(sh, "-c", cmd).Output(); err != nil || string(out) != s {
			t.Errorf("%q: the shell made %q of it, %v", s, out, err)
		}
	}
}

// TestAgreesWithTextTemplate compares whole templates with text/template run
// over a map of the same variables and functions.
func TestAgreesWithTextTemplate(t *testing.T) {
	t.Parallel()
	vs := map[string]string{"a": "x y", "b": "it's", "c": ""}
	tg := &muster.Target{ID: "i", Host: "h", Vars: vs}
	data := map[string]any{"id": "i", "host": "h", "vars": vs}
	for k, v := range vs {
		data[k] = v
	}
	funcs := template.FuncMap{
		"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace,
		"pathescape": url.PathEscape, "urlquery": url.QueryEscape,
	}
	part := rapid.SampledFrom([]string{
		"t", " ", "\n", "{{.a}}", "{{.id}}", "{{.vars.b}}", `{{index .vars "a"}}`, "{{- .b -}}", "{{.a | upper | urlquery}}",
		"{{pathescape .a}}", "{{if .c}}", "{{if .a}}", `{{if eq .b "it's"}}`, "{{else}}", "{{end}}", "{{else if not .c}}",
		"{{lower (upper .b)}}", "{{/* c */}}", `{{"q"}}`, "{{or .c .a}}", "{{and .a .b}}", "{{nosuch}}", "{{1}}", "{{", "}}",
	})
	rapid.Check(t, func(t *rapid.T) {
		src := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		ref, refErr := template.New("t").Option("missingkey=error").Funcs(funcs).Parse(src)
		tpl, err := Parse("t", src)
		if (err == nil) != (refErr == nil) {
			t.Fatalf("%s: %v, text/template says %v", src, err, refErr)
		}
		if err != nil {
			return
		}
		var want bytes.Buffer
		if err := ref.Execute(&want, data); err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Expand(tg); err != nil || got != want.String() {
			t.Errorf("%s: %q, %v; want %q", src, got, err, want.String())
		}
	})
}

// TestFormsAgree compares the fast form with the general one.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{"t", "{{.a}}", "{{.host | json}}", "{{.port}}", `{{var "x-y" | sh}}`, "{{.labels.l}}", "{{json .vars}}", "{{.vars}}"})
	rapid.Check(t, func(t *rapid.T) {
		src := strings.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "parts"), "")
		tg := &muster.Target{Host: "h", Vars: rapid.MapOf(rapid.SampledFrom([]string{"a", "x-y", "port"}), rapid.String()).Draw(t, "vars")}
		maps.DeleteFunc(tg.Vars, func(_, v string) bool { return strings.Contains(v, "\x00") })
		fast, err := Parse("t", src)
		if err != nil {
			t.Fatal(err)
		}
		general, err := Parse("t", src+"{{if .none}}{{end}}")
		if err != nil {
			t.Fatal(err)
		}
		if general.pieces != nil {
			t.Fatal("both are fast")
		}
		a, errA := fast.Expand(tg)
		b, errB := general.Expand(tg)
		if a != b || (errA == nil) != (errB == nil) {
			t.Errorf("%s: %q, %v and %q, %v", src, a, errA, b, errB)
		}
	})
}
