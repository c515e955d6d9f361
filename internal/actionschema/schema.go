// Package actionschema generates the JSON schema of saved actions from the Go types that read them.
//
// Keys, types and enumerations come from the types of package muster and of all kinds in
// package probe, descriptions from their comments. A new kind of probe needs nothing but "make schema".
package actionschema

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/probe"
)

// schema is one JSON schema, or a part of one.
type schema map[string]any

// generator collects the definitions of the types that it meets.
type generator struct {
	source source
	defs   schema
}

// Generate returns the schema (draft 2020-12) of [action.File]. root is the module's folder, whose
// comments become the descriptions.
func Generate(root string) ([]byte, error) {
	g := generator{source: source{root: root}, defs: schema{}}
	s := g.file()
	if g.source.err != nil {
		return nil, g.source.err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return b.Bytes(), err
}

func (g *generator) file() schema {
	s := g.structure(reflect.TypeFor[action.File]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "muster action"
	kinds := probe.Kinds()
	var choices []any
	for _, kind := range kinds.Names() {
		t := reflect.TypeOf(kinds[kind]()).Elem()
		choices = append(choices, schema{
			"if":   schema{"properties": schema{"probe": schema{"const": kind}}},
			"then": schema{"properties": schema{"with": g.reference(t)}},
		})
	}
	s["allOf"] = choices
	props := s["properties"].(schema)
	props["probe"].(schema)["enum"] = kinds.Names()
	props["with"].(schema)["type"] = "object"
	s["$defs"] = g.defs
	return s
}

var (
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// written holds the types whose text says more than their kind does.
var written = map[reflect.Type]schema{
	reflect.TypeFor[muster.Duration](): {
		"type": "string", "pattern": `^[-+]?([0-9.]+(ns|us|µs|μs|ms|s|m|h))+$|^[-+]?0$`, "examples": []string{"500ms", "10s", "1m30s"},
	},
	reflect.TypeFor[muster.Size](): {
		"type": []string{"string", "integer"}, "pattern": `^[0-9]+$|^[0-9.]+%$`, "examples": []any{5, "20%"},
	},
	reflect.TypeFor[probe.HTTP2](): {"enum": []any{probe.HTTP2Auto, probe.HTTP2Always, probe.HTTP2Off, true, false}},
}

// of returns the schema of values of type t.
func (g *generator) of(t reflect.Type) schema {
	if s, ok := written[t]; ok {
		return clone(s)
	}
	switch {
	case t == rawType:
		return schema{}
	case reflect.PointerTo(t).Implements(textType):
		return text()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.reference(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return schema{"type": "string", "contentEncoding": "base64"}
		}
		return schema{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.String:
		if values := g.source.constants(t); len(values) > 0 {
			return schema{"enum": append(values, "")}
		}
		return text()
	case reflect.Interface:
		return schema{}
	}
	s := schema{"type": "integer"}
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr {
		s["minimum"] = 0
	}
	return s
}

// text is what a text field takes: 8080 and true are texts too, as they are written.
func text() schema { return schema{"type": []string{"string", "number", "boolean"}} }

func clone(s schema) schema {
	c := schema{}
	maps.Copy(c, s)
	return c
}

// reference defines a struct once and refers to it.
func (g *generator) reference(t reflect.Type) schema {
	name := strings.ToLower(t.Name())
	if _, ok := g.defs[name]; !ok {
		g.defs[name] = nil // for types that hold themselves
		g.defs[name] = g.structure(t)
	}
	return schema{"$ref": "#/$defs/" + name}
}

func (g *generator) structure(t reflect.Type) schema {
	props, required := schema{}, []string{}
	g.fields(t, props, &required)
	s := schema{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	if doc := g.source.typeDoc(t); doc != "" {
		s["description"] = doc
	}
	return s
}

func (g *generator) fields(t reflect.Type, props schema, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			g.fields(f.Type, props, required)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		s := g.of(f.Type)
		if doc := g.source.fieldDoc(t, f.Name, name); doc != "" {
			s["description"] = doc
		}
		props[name] = s
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
