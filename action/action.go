// Package action reads and writes actions as people keep them: one YAML file per action, with
// what is done, what is expected of the answer, and how the work is usually spread.
//
//	description: Is the service healthy?
//	probe: http
//	with:
//	  url: /health
//	expect: status == 200 && json.healthy
//	plan:
//	  timeout: 2s
//
// The keys below with are the parameters of the probe's kind (package probe), and
// docs/action.schema.json describes them all. A file holds no secret, only references to them.
package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
	"github.com/musterhq/muster/probe"
	"github.com/musterhq/muster/strictyaml"
)

// File is an action as it is saved.
type File struct {
	// Description says for people what the action is for.
	Description string `json:"description,omitempty"`
	muster.Action
	// Plan says how the work is spread unless the one who runs it says otherwise. Nil leaves it all open.
	Plan *muster.Plan `json:"plan,omitempty"`
}

// Lay lays the file's plan over p: what the file says replaces what p says, the rest stays.
func (f *File) Lay(p *muster.Plan) error {
	if f.Plan == nil {
		return nil
	}
	text, err := encode(f.Plan)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, p)
}

// Parse reads and validates an action: keys, parameters, conditions and rules. name is the file's, for
// messages. Its error joins all mistakes with their places and is of kind invalid.
func Parse(name string, text []byte) (File, error) {
	var f File
	doc, err := strictyaml.Reader{}.Parse(name, text)
	if err != nil {
		return f, err
	}
	if err := doc.Decode(&f); err != nil {
		return f, errors.Join(err, checkKind(doc, &f))
	}
	if err := checkKind(doc, &f); err != nil {
		return f, err
	}
	return f, f.check(doc)
}

// checkKind checks the parameters against their kind, and makes them what the kind makes of them.
func checkKind(doc *strictyaml.Document, f *File) error {
	kinds := probe.Kinds()
	if f.Probe == "" {
		return doc.Errorf("probe", "want one of %s", strings.Join(kinds.Names(), ", "))
	}
	empty, ok := kinds[f.Probe]
	if !ok {
		hint := ""
		if near := strictyaml.Nearest(f.Probe, kinds.Names()); near != "" {
			hint = ", did you mean " + near + "?"
		}
		return doc.Errorf("probe", "%q: want one of %s%s", f.Probe, strings.Join(kinds.Names(), ", "), hint)
	}
	spec := empty()
	if err := doc.DecodeAt("with", spec); err != nil {
		return err
	}
	if err := spec.Validate(); err != nil {
		return placed(doc, "with", err)
	}
	with, err := encode(spec)
	if err != nil {
		return doc.Errorf("with", "%w", err)
	}
	if f.With = with; string(with) == "{}" {
		f.With = nil
	}
	return nil
}

// check validates what the decoder cannot see.
func (f *File) check(doc *strictyaml.Document) error {
	spec, err := probe.Decode(f.Probe, f.With)
	if err != nil {
		return doc.Errorf("with", "%w", err)
	}
	errs := []error{checkSecrets(doc, f.With)}
	if f.Plan != nil {
		errs = append(errs, placed(doc, "plan", f.Plan.Validate()))
	}
	own := probe.TraitsOf(spec).Fields
	_, err = extract.Compile(muster.Action{Extract: f.Extract}, own...)
	if errs = append(errs, placed(doc, "extract", err)); err == nil {
		errs = append(errs, f.checkConditions(doc, own)...)
	}
	return errors.Join(errs...)
}

func (f *File) checkConditions(doc *strictyaml.Document, own []string) (errs []error) {
	a := muster.Action{Extract: f.Extract, Expect: f.Expect}
	_, err := extract.Compile(a, own...)
	errs = append(errs, placed(doc, "expect", err))
	a.Expect = ""
	for i := range f.Checks {
		a.Checks = f.Checks[i : i+1]
		_, err = extract.Compile(a, own...)
		errs = append(errs, placed(doc, fmt.Sprintf("checks[%d]", i), err))
	}
	return errs
}

// placed gives each of the errors that err joins the place of what it is about, which its first words name:
// "expect …", or a key below path.
func placed(doc *strictyaml.Document, path string, err error) error {
	if err == nil {
		return nil
	}
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var errs []error
		for _, one := range many.Unwrap() {
			errs = append(errs, placed(doc, path, one))
		}
		return errors.Join(errs...)
	}
	text := strings.TrimPrefix(err.Error(), path+" ")
	first, rest, _ := strings.Cut(text, " ")
	key := path + "." + strings.TrimSuffix(first, ":")
	if doc.Has(key) {
		return doc.Errorf(key, "%s", rest)
	}
	return doc.Errorf(path, "%s", text)
}

// encode is json.Marshal that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
