package actionschema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/internal/actionschema"
	"github.com/musterhq/muster/strictyaml"
)

//go:generate go test . -run TestTheSchemaIsCurrent -update

var update = flag.Bool("update", false, "write docs/action.schema.json")

const (
	root      = "../.."
	published = root + "/docs/action.schema.json"
)

// TestTheSchemaIsCurrent compares the published schema with the types: make schema writes it.
func TestTheSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := actionschema.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(published, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/action.schema.json is not what the types say: run make schema")
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := actionschema.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("action.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("action.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds a YAML text against the schema.
func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	doc, err := strictyaml.Reader{}.Parse("action", text)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc.JSON("")))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// TestExamplesAreValid holds every published example against the schema and the decoder.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	files, err := filepath.Glob(root + "/docs/actions/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := action.Parse(name, text); err != nil {
			t.Error(err)
		}
	}
}

// mutate calls use with v changed in one place, for every place and change there is.
func mutate(v any, set func(any), use func()) {
	wrong := []any{nil, true, -1.0, 1.5, "", "nonsense", []any{}, []any{"x", 1.0}, map[string]any{}, map[string]any{"nonsense": 1.0}}
	for _, w := range wrong {
		set(w)
		use()
	}
	set(v)
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			mutate(child, func(x any) { v[key] = x }, use)
			delete(v, key)
			use()
			v[key+"x"] = child
			use()
			delete(v, key+"x")
			v[key] = child
		}
	case []any:
		for i, child := range v {
			mutate(child, func(x any) { v[i] = x }, use)
		}
	}
}

// TestWhatTheSchemaRejectsIsRejected changes valid actions in every place in many ways. A schema that refuses
// what the program takes would warn of nothing.
func TestWhatTheSchemaRejectsIsRejected(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	rejected := 0
	files, err := filepath.Glob(root + "/docs/actions/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := strictyaml.Reader{}.Parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(doc.JSON(""), &v); err != nil {
			t.Fatal(err)
		}
		top := v
		mutate(v, func(x any) { top = x }, func() {
			changed, err := json.Marshal(top)
			if err != nil {
				t.Fatal(err)
			}
			invalid, ok := errors.AsType[*jsonschema.ValidationError](validate(t, s, changed))
			if !ok {
				return
			}
			rejected++
			if _, err := action.Parse(name, changed); err == nil {
				t.Errorf("taken, though the schema rejects it:\n%s\n%v", changed, invalid)
			}
		})
	}
	if rejected < 100 {
		t.Errorf("the schema rejected %d changes: it checks nothing", rejected)
	}
}

func TestDescriptionsComeFromComments(t *testing.T) {
	t.Parallel()
	text, err := actionschema.Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"timeout bounds one attempt", `"safe"`, "method is any method but CONNECT"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema lacks %q", want)
		}
	}
}
