package probe

import (
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

func TestUnescape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{`a\r\n\t\0\\b`, "a\r\n\t\x00\\b"},
		{`\xff\x00\x7B`, "\xff\x00{"},
		{`\x7b\x7b.id}}`, "{{.id}}"},
		{`{\x7b.id}}`, "{{.id}}"},
		{`{{.v}}\n`, "a\\nb\n"},
		{`{{default "x\n" .none}}\t`, "x\n\t"},
		{"{{default `}}\\n` .none}}|", "}}\\n|"},
	} {
		text, err := unescape(c.in)
		if err != nil {
			t.Fatalf("%s: %v", c.in, err)
		}
		tpl, err := vars.Parse("data", text)
		if err != nil {
			t.Fatalf("%s: %v", c.in, err)
		}
		got, err := tpl.Expand(&muster.Target{ID: "t", Vars: map[string]string{"v": `a\nb`}})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{`a\`, `\q`, `\x1`, `\xgg`, `\`} {
		if s, err := unescape(bad); err == nil || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: %q, %v; want an error", bad, s, err)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a\r\n\\\x00\xff{{", "{{.id}}", "{", "é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := unescape(string(b)); err != nil && muster.KindOf(err) != muster.KindInvalid {
			t.Fatal(err)
		}
		// A brace may begin an action, which is not for this round trip.
		text := strings.ReplaceAll(string(appendEscaped(nil, b)), "{", `\x7b`)
		text, err := unescape(text)
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := vars.Parse("data", text)
		if err != nil {
			if len(text) > 1000 {
				t.Skip("more braces than a template may have actions")
			}
			t.Fatal(err)
		}
		if got, err := tpl.Expand(&muster.Target{ID: "t"}); err != nil || got != string(b) {
			t.Fatalf("%q became %q, %v", b, got, err)
		}
	})
}
