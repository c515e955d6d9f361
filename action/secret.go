package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/musterhq/muster/strictyaml"
)

// sensitive matches names of headers, cookies, form fields and variables whose values are secrets.
var sensitive = regexp.MustCompile(`(?i)authorization|cookie|token|passw|credential|signature|session|secret|api[-_]?key|access[-_]?key|auth[-_]?key`)

// Sensitive reports whether what has that name, a header or a variable, carries a secret.
func Sensitive(name string) bool { return sensitive.MatchString(name) }

// named are the parameters that are lists of names with values.
var named = []string{"cookies", "env", "form", "header", "metadata", "proxy_header"}

// checkSecrets refuses values that a file must not hold: a stored run would hold them as well.
func checkSecrets(doc *strictyaml.Document, with json.RawMessage) error {
	var v map[string]any
	if err := json.Unmarshal(with, &v); err != nil {
		return nil // reported by the kind
	}
	return secretsIn(doc, "with", v)
}

func secretsIn(doc *strictyaml.Document, path string, v map[string]any) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(v)) {
		at := path + "." + key
		switch value := v[key].(type) {
		case map[string]any:
			errs = append(errs, secretsIn(doc, at, value))
		case []any:
			if !slices.Contains(named, key) {
				continue
			}
			for i, item := range value {
				errs = append(errs, checkPair(doc, fmt.Sprintf("%s[%d]", at, i), key, item))
			}
		}
	}
	return errors.Join(errs...)
}

func checkPair(doc *strictyaml.Document, path, list string, item any) error {
	pair, ok := item.(map[string]any)
	if !ok {
		return nil
	}
	name, _ := pair["name"].(string)
	value, _ := pair["value"].(string)
	if value == "" || strings.Contains(value, "{{") || list != "cookies" && !Sensitive(name) {
		return nil
	}
	return doc.Errorf(path+".value", `the value of %s is a secret: name where it is kept, as '{{secret "env:NAME"}}' or '{{secret "file:PATH"}}'`, name)
}
