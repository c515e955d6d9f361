package strictyaml_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/strictyaml"
)

type common struct {
	Name string `json:"name,omitempty"`
}

type server struct {
	common
	Port    uint16            `json:"port"`
	Weight  float64           `json:"weight"`
	On      bool              `json:"on"`
	Timeout muster.Duration   `json:"timeout"`
	Labels  map[string]string `json:"labels"`
	Tags    []string          `json:"tags"`
	Limit   *int              `json:"limit"`
	Raw     json.RawMessage   `json:"raw"`
}

type config struct {
	Servers []server `json:"servers"`
	Any     any      `json:"any"`
}

const sample = `
# a comment
defaults: &d {timeout: 5s}
`

func TestDecode(t *testing.T) {
	t.Parallel()
	var got config
	doc, err := strictyaml.Reader{}.Parse("x.yml", []byte(`
servers:
  - &first
    name: 8080
    port: 0x1F90
    weight: 1_000
    on: true
    timeout: 1m30s
    labels: {rack: 07, dc: true}
    tags: [a, "b c"]
    limit: -3
    raw: {b: 1, a: [x, null]}
  - <<: *first
    name: |
      two
      lines
any: {k: [1, "2"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Decode(&got); err != nil {
		t.Fatal(err)
	}
	one := server{
		common: common{"8080"}, Port: 8080, Weight: 1000, On: true, Timeout: muster.Duration(90 * time.Second),
		Labels: map[string]string{"rack": "07", "dc": "true"}, Tags: []string{"a", "b c"}, Limit: new(-3),
		Raw: json.RawMessage(`{"b":1,"a":["x",null]}`),
	}
	two := one
	two.Name = "two\nlines\n"
	want := config{Servers: []server{one, two}, Any: map[string]any{"k": []any{1.0, "2"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(server{})); diff != "" {
		t.Error(diff)
	}
}

// TestMistakes names every mistake with its place.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"servers:\n- prot: 1", "f:2:3: servers[0].prot: unknown key, did you mean port?"},
		{"servers:\n- zzzzzz: 1", "f:2:3: servers[0].zzzzzz: unknown key; there are name, port, weight, on, timeout, labels, tags, limit, raw"},
		{"servers: {}", "f:1:10: servers: a mapping: want a list"},
		{"servers:\n- port: -1", `servers[0].port: "-1": want a whole number of 0 or more`},
		{"servers:\n- port: 70000", `want a whole number`},
		{"servers:\n- port: '80'", `"80" is a text: want a whole number`},
		{"servers:\n- on: yes", `"yes": want true or false`},
		{"servers:\n- timeout: 5", `servers[0].timeout: duration "5": want a number with a unit`},
		{"servers:\n- timeout: [5]", `servers[0].timeout: a list: want a text`},
		{"servers:\n- name:", "servers[0].name: there is no value"},
		{"servers:\n- name: {a: 1}", "servers[0].name: a mapping: want a text"},
		{"servers:\n- name: a\n  name: b", `already defined|is there twice`},
		{"servers: *nope", "nope"},
		{"a: 1\n---\nb: 2", "a second YAML document"},
		{"servers: [", "f:1:"},
		{"\xff", "not UTF-8"},
		{"- 1", "f:1:3: a list: want a mapping|f:1:1: a list: want a mapping"},
	} {
		doc, err := strictyaml.Reader{}.Parse("f", []byte(test.text))
		if err == nil {
			err = doc.Decode(new(config))
		}
		if err == nil {
			t.Errorf("%q: no error, want %q", test.text, test.want)
			continue
		}
		found := false
		for want := range strings.SplitSeq(test.want, "|") {
			found = found || strings.Contains(err.Error(), want)
		}
		if !found {
			t.Errorf("%q: %v\nwant %q", test.text, err, test.want)
		}
	}
}

// TestYAML11 reads what older programs take.
func TestYAML11(t *testing.T) {
	t.Parallel()
	var got config
	doc, err := strictyaml.Reader{YAML11: true}.Parse("f", []byte("servers:\n- on: yes\n  name:\n  tags:\nany:\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if !got.Servers[0].On {
		t.Error("yes is not true")
	}
}

func TestTextByPointer(t *testing.T) {
	t.Parallel()
	doc, err := strictyaml.Reader{}.Parse("f", []byte("a/b: {c~d: [x, !!binary AAEC], e: 5}"))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{"/a~1b/c~0d/0": "x", "/a~1b/c~0d/1": "\x00\x01\x02", "/a~1b/e": "5"} {
		if got, ok := doc.Text(pointer); !ok || got != want {
			t.Errorf("%s: %q, %v; want %q", pointer, got, ok, want)
		}
	}
	for _, pointer := range []string{"", "/", "/a~1b", "/a~1b/c~0d/2", "/a~1b/c~0d/-1", "/nope/x"} {
		if got, ok := doc.Text(pointer); ok {
			t.Errorf("%s: there is %q", pointer, got)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		prev, next := string(rune('0'+i-1)), string(rune('0'+i))
		text.WriteString("a" + next + ": &a" + next + " [" + strings.Repeat("*a"+prev+", ", 9) + "*a" + prev + "]\n")
	}
	if _, err := (strictyaml.Reader{}).Parse("f", []byte(text.String())); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a billion values: %v", err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	keys := []string{"valid_status_codes", "valid_http_versions", "method", "url"}
	for s, want := range map[string]string{
		"valid_status_code": "valid_status_codes", "valid-status-codes": "valid_status_codes", "metod": "method", "meth": "method",
		"zzz": "", "x": "",
	} {
		if got := strictyaml.Nearest(s, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{sample, "servers:\n- {port: 1, on: yes}", "a: &x [*x]", "? {a: b}\n: c", "<<: [1]", "!!str 5", "a: |\n  x\n", "[[[[", "- - - 1", ".inf"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, rd := range []strictyaml.Reader{{}, {YAML11: true}} {
			doc, err := rd.Parse("f", text)
			if err != nil {
				if muster.KindOf(err) != muster.KindInvalid {
					t.Errorf("%v is of kind %v", err, muster.KindOf(err))
				}
				continue
			}
			if js := doc.JSON(""); !json.Valid(js) {
				t.Errorf("%q becomes %q, which is no JSON", text, js)
			}
			var c config
			if err := doc.Decode(&c); err != nil && strings.Contains(err.Error(), "\x00") && !strings.Contains(string(text), "\x00") {
				t.Errorf("%q", err)
			}
		}
	})
}
