package action_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
)

// TestParseAndFormat reads every published example, writes it, and reads it back.
func TestParseAndFormat(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../docs/actions/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := action.Parse(name, text)
		if err != nil {
			t.Error(err)
			continue
		}
		again(t, f)
	}
}

// fatal is what a test and a property have in common.
type fatal interface{ Fatalf(string, ...any) }

// again writes f, reads it back and compares.
func again(t fatal, f action.File) {
	text, err := action.Format(f)
	if err != nil {
		t.Fatalf("%v", err)
	}
	back, err := action.Parse("again.yml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(f, back); diff != "" {
		t.Fatalf("%s\n%s", diff, text)
	}
}

// TestTextsSurviveFormatting: a text of any kind comes back as it was.
func TestTextsSurviveFormatting(t *testing.T) {
	t.Parallel()
	awkward := rapid.SampledFrom([]string{
		"yes", "1e3", "0x10", "null", "~", "- a", "a: b", "a #b", "#", "{{.id}}", "|", ">", "*a", "&a", "!x", "%", "@", "`", "---", "...", "a:", " a", "a ",
		"two\nlines", "two\nlines\n", "\n", "a\n\n", "  indented\nx", "a\n  b\n", "tab\there", "\"quoted\"", "'", "\\", "ü\u2028", "\x00", "10s", "5%", "<<", "a\n# b\n", "?", "a, b", "[a]", "2026-01-02", ".5", "a\r\nb",
		"a\n---\nb", "a\n...\n", "\ufeff", "a\u0085b",
	})
	texts := rapid.OneOf(awkward, rapid.String(), rapid.StringMatching(`[ -~\n]{0,30}`))
	rapid.Check(t, func(t *rapid.T) {
		body := texts.Draw(t, "body")
		with, err := json.Marshal(map[string]any{"body": body, "body_raw": true})
		if err != nil {
			t.Fatal(err)
		}
		f := action.File{Description: texts.Draw(t, "description"), Action: muster.Action{Probe: "http", With: with}}
		f.Plan = &muster.Plan{Source: texts.Draw(t, "source")}
		text, err := action.Format(f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := action.Parse("again.yml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var got struct{ Body string }
		if len(back.With) > 0 {
			if err := json.Unmarshal(back.With, &got); err != nil {
				t.Fatal(err)
			}
		}
		if got.Body != body || back.Description != f.Description || back.Plan.Source != f.Plan.Source {
			t.Fatalf("body %q, description %q, source %q came back as %q, %q, %q\n%s", body, f.Description, f.Plan.Source, got.Body, back.Description, back.Plan.Source, text)
		}
	})
}

// TestMistakes: each has its place and the way out.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want []string
	}{
		{"probe: htp\nwiht: {}", []string{"f:1:8: probe: \"htp\": want one of ", "did you mean http?", "f:2:1: wiht: unknown key, did you mean with?"}},
		{"with: {url: /}", []string{"f:1:1: probe: want one of "}},
		{"probe: http\nwith:\n  metod: GET\n  follow: x", []string{"f:3:3: with.metod: unknown key, did you mean method?", "f:4:11: with.follow"}},
		{"probe: http\nwith:\n  scheme: ftp\n  http2: maybe", []string{"f:3:11: with.scheme: \"ftp\": want http or https", "f:4:10: with.http2: "}},
		{"probe: http\nexpect: stat == 200", []string{"f:2:9: expect: ", "unknown name stat"}},
		{"probe: http\nextract:\n- {name: a, rule: 'json:$['}", []string{"f:3:1: extract: "}},
		{"probe: http\nplan:\n  timout: 3s", []string{"f:3:3: plan.timout: unknown key, did you mean timeout?"}},
		{"probe: http\nplan:\n  repeat: often", []string{"f:3:11: plan.repeat: \"often\": want safe or never"}},
		{"probe: http\nwith:\n  header:\n  - {name: Authorization, value: Bearer abc}", []string{"f:4:34: with.header[0].value: the value of Authorization is a secret: name where"}},
		{"probe: http\nwith: {cookies: [{name: a, value: b}], form: [{name: user, value: x}, {name: password, value: y}]}", []string{"with.cookies[0].value: the value of a is", "with.form[1].value: the value of password is"}},
		{"probe: http\nexpect:", []string{"f:2:9: expect: there is no value"}},
		{"", []string{"there is no value"}},
	} {
		_, err := action.Parse("f", []byte(test.text))
		if err == nil {
			t.Errorf("%q: no error", test.text)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v\nlacks %q", test.text, err, want)
			}
		}
	}
}

func TestLay(t *testing.T) {
	t.Parallel()
	plan := muster.Plan{Retries: 3, Rate: 5, Timeout: muster.Duration(time.Minute)}
	f := action.File{Plan: &muster.Plan{Retries: 1, MaxErrors: &muster.Size{N: 2}}}
	if err := f.Lay(&plan); err != nil {
		t.Fatal(err)
	}
	want := muster.Plan{Retries: 1, Rate: 5, Timeout: muster.Duration(time.Minute), MaxErrors: &muster.Size{N: 2}}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("probe: http\nwith: {url: /, header: [{name: A, value: b}]}\nexpect: status == 200\nplan: {timeout: 3s, max_errors: 5%}"))
	files, err := filepath.Glob("../docs/actions/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("probe: http\nextract:\n- {name: v, rule: 'json:$.v'}\ndescription: |\n  x\n  y"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if file, err := action.Parse("f", text); err == nil {
			again(t, file)
		}
	})
}
