package probe

import (
	"testing"

	"github.com/musterhq/muster"
)

// FuzzTCPSend sends any bytes as they are once escaped, and refuses or takes any text as written.
func FuzzTCPSend(f *testing.F) {
	for _, s := range []string{"", `a\r\n`, "{{.id}}", "${1}", `\$ { {{ \x7b`, "\x00\xff", "${", "{{`}}`}}", `{{"\"}}"}}\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compiled := func(text string) (string, error) {
			var p problems
			(&groups{numbers: 9}).check(&p, "send", text)
			if len(p) > 0 {
				return "", p[0]
			}
			var c streamCompiler
			ts := c.sendTemplates("send", text)
			if err := c.err(); err != nil {
				return "", err
			}
			ps, err := expandPieces(ts, &muster.Target{ID: "t"}, false)
			return string(ps.appendTo(nil, func(ref string) []byte { return []byte(ref) })), err
		}
		if _, err := compiled(s); err != nil && muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%q: %v", s, err)
		}
		if got, err := compiled(Escape(s)); len(s) < 1000 && (err != nil || got != s) {
			t.Errorf("%q, escaped %q, is sent as %q, %v", s, Escape(s), got, err)
		}
		if got, err := fixedBytes(Escape(s)); len(s) < 1000 && (err != nil || got != s) {
			t.Errorf("%q, escaped %q, is expected as %q, %v", s, Escape(s), got, err)
		}
	})
}
