// Package strictyaml reads YAML documents that people write for muster: saved actions, modules.
//
// It decodes into Go values by their json tags, as encoding/json does, and reports every
// mistake at once with file, line, column and the path of the key. A key that the type does not have is an
// error that names the nearest one it has. What a field makes of a scalar is decided by the field's type, not
// by the scalar's look: 8080 in a text field is the text "8080".
package strictyaml

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/musterhq/muster"
)

// The bounds of a document.
const (
	maxBytes = 16 << 20
	maxNodes = 1_000_000 // once aliases are followed
	maxDepth = 100
)

// Document is one parsed YAML document. It is immutable and safe for concurrent use.
type Document struct {
	reader Reader
	name   string
	root   *node
}

// Reader says how documents are read. The zero value is strict.
type Reader struct {
	// YAML11 reads as older programs do: yes, no, on and off are truth values where one is wanted, and
	// a key without a value counts as absent. Otherwise both are mistakes.
	YAML11 bool
}

// Parse reads the one document that text holds. name stands in front of every error message.
func (rd Reader) Parse(name string, text []byte) (_ *Document, err error) {
	switch {
	case len(text) > maxBytes:
		return nil, muster.Errorf(muster.KindInvalid, "%s: %d bytes, want at most %d", name, len(text), maxBytes)
	case !utf8.Valid(text):
		return nil, muster.Errorf(muster.KindInvalid, "%s: the text is not UTF-8", name)
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	// The parser is not ours; its panics on broken input are its way to say that the input is broken.
	defer func() {
		if p := recover(); p != nil {
			err = muster.Errorf(muster.KindInvalid, "%s: the YAML cannot be understood (%v)", name, p)
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	r := &reader{name: name, anchors: map[string]*node{}}
	root, err := r.document(file)
	if err != nil {
		return nil, err
	}
	return &Document{rd, name, root}, nil
}

func syntaxError(name string, err error) error {
	ye, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return muster.Errorf(muster.KindInvalid, "%s: %w", name, err)
	}
	return (&reader{name: name}).errorf(placeOf(ye.GetToken()), "%s", ye.GetMessage())
}

// Decode fills what v points to. Its error joins all mistakes, each of kind invalid.
func (d *Document) Decode(v any) error { return d.DecodeAt("", v) }

// DecodeAt is Decode of the part that stands at path, such as "with" or "modules.web.http"; one
// that is not there leaves v as it is.
func (d *Document) DecodeAt(path string, v any) error {
	n := d.root.at(path)
	if n == nil {
		return nil
	}
	c := decoder{Reader: d.reader, name: d.name}
	c.decodeInto(n, path, v)
	return errors.Join(c.errs...)
}

// Has reports whether there is a value at path.
func (d *Document) Has(path string) bool { return d.root.at(path) != nil }

// Keys returns the keys of the mapping at path, in their order.
func (d *Document) Keys(path string) []string {
	n := d.root.at(path)
	if n == nil {
		return nil
	}
	keys := make([]string, len(n.members))
	for i, m := range n.members {
		keys[i] = m.key
	}
	return keys
}

// JSON returns the part at path as JSON, keys in their order; nil when there is none.
func (d *Document) JSON(path string) []byte {
	n := d.root.at(path)
	if n == nil {
		return nil
	}
	return n.appendJSON(nil)
}

// Text returns the scalar at a JSON pointer (RFC 6901) such as "/modules/web/prober", as it is written.
func (d *Document) Text(pointer string) (text string, ok bool) {
	n := d.root
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if n = n.child(unescapePointer.Replace(step)); n == nil {
			return "", false
		}
	}
	return n.text, n.scalar()
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// Errorf returns an error about what stands at path, or nearest to it.
func (d *Document) Errorf(path, format string, args ...any) error {
	n, p := d.root.at(path), path
	for n == nil && p != "" {
		p = p[:max(strings.LastIndexAny(p, ".["), 0)]
		n = d.root.at(p)
	}
	at := place{}
	if n != nil {
		at = n.place
	}
	return problem(d.name, at, path, fmt.Errorf(format, args...))
}

func problem(name string, at place, path string, err error) error {
	if path != "" {
		path += ": "
	}
	return muster.Errorf(muster.KindInvalid, "%s%s: %s%w", name, at, path, err)
}

// place is a position in the text, counted from 1; zero is none.
type place struct{ line, column int }

func (p place) String() string {
	if p.line == 0 {
		return ""
	}
	return fmt.Sprintf(":%d:%d", p.line, p.column)
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

// reader turns the parser's tree into nodes.
type reader struct {
	name    string
	anchors map[string]*node
}

func (r *reader) errorf(at place, format string, args ...any) error {
	return problem(r.name, at, "", fmt.Errorf(format, args...))
}

func (r *reader) document(file *ast.File) (*node, error) {
	var doc *node
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if doc != nil {
			return nil, r.errorf(placeOf(d.Body.GetToken()), "a second YAML document: keep one in a file")
		}
		n, err := r.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		doc = n
	}
	if doc == nil {
		doc = &node{kind: kindNull, place: place{1, 1}, size: 1}
	}
	return doc, nil
}

func (r *reader) node(v ast.Node, depth int) (*node, error) {
	if v == nil {
		return &node{kind: kindNull, size: 1}, nil
	}
	at := placeOf(v.GetToken())
	if depth > maxDepth {
		return nil, r.errorf(at, "nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case *ast.AnchorNode:
		n, err := r.node(v.Value, depth+1)
		if err == nil {
			r.anchors[v.Name.GetToken().Value] = n
		}
		return n, err
	case *ast.AliasNode:
		name := v.Value.GetToken().Value
		if n, ok := r.anchors[name]; ok {
			return n, nil
		}
		return nil, r.errorf(at, "the alias *%s has no anchor &%[1]s before it", name)
	case *ast.TagNode:
		n, err := r.node(v.Value, depth+1)
		if err != nil || !n.scalar() {
			return n, err
		}
		return r.tagged(v.Start.Value, n)
	case *ast.SequenceNode:
		return r.sequence(v, at, depth)
	case *ast.MappingNode:
		return r.mapping(v.Values, at, depth)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{v}, at, depth)
	}
	return scalarNode(v, at), nil
}

// tagged makes a scalar what its tag says.
func (r *reader) tagged(tag string, n *node) (*node, error) {
	text := n.text
	switch tag {
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, r.errorf(n.place, "%q: want base64, as !!binary says", shorten(text))
		}
		text = string(b)
	case "!!str":
	default:
		return n, nil
	}
	return &node{kind: kindText, text: text, quoted: true, place: n.place, size: 1}, nil
}

func scalarNode(v ast.Node, at place) *node {
	n := &node{kind: kindText, place: at, size: 1}
	switch v := v.(type) {
	case *ast.NullNode:
		n.kind = kindNull
	case *ast.StringNode:
		n.text = v.Value
		n.quoted = v.Token.Type != token.StringType
	case *ast.LiteralNode:
		n.text, n.quoted = v.Value.Value, true
	case *ast.BoolNode:
		n.kind, n.text = kindBool, v.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = kindNumber, v.GetToken().Value
	default:
		n.text = v.GetToken().Value
	}
	return n
}

func (r *reader) sequence(v *ast.SequenceNode, at place, depth int) (*node, error) {
	n := &node{kind: kindList, place: at, size: 1}
	for _, value := range v.Values {
		item, err := r.node(value, depth+1)
		if err == nil {
			err = r.grow(n, item)
		}
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	return n, nil
}

// grow accounts for child inside n.
func (r *reader) grow(n, child *node) error {
	if n.size += child.size; n.size > maxNodes {
		return r.errorf(n.place, "more than %d values once its aliases are followed", maxNodes)
	}
	return nil
}

func (r *reader) mapping(values []*ast.MappingValueNode, at place, depth int) (*node, error) {
	n := &node{kind: kindMapping, place: at, size: 1}
	var merges []member
	for _, mv := range values {
		value, err := r.node(mv.Value, depth+1)
		if err == nil {
			err = r.grow(n, value)
		}
		if err != nil {
			return nil, err
		}
		m := member{place: placeOf(mv.Key.GetToken()), value: value}
		if mv.Key.IsMergeKey() {
			merges = append(merges, m)
			continue
		}
		if m.key, err = r.key(mv.Key, depth); err != nil {
			return nil, err
		}
		if first := n.find(m.key); first != nil {
			return nil, r.errorf(m.place, "key %q is there twice; the first is on line %d", m.key, first.place.line)
		}
		n.add(m)
	}
	if len(n.members) > 0 {
		n.place = n.members[0].place
	}
	for _, m := range merges {
		if err := r.merge(n, m); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (r *reader) key(k ast.MapKeyNode, depth int) (string, error) {
	var v ast.Node = k
	if mk, ok := k.(*ast.MappingKeyNode); ok {
		v = mk.Value
	}
	n, err := r.node(v, depth+1)
	switch {
	case err != nil:
		return "", err
	case n.kind == kindNull:
		return v.GetToken().Value, nil
	case !n.scalar():
		return "", r.errorf(n.place, "a key is %s: want a text", n.kind)
	}
	return n.text, nil
}

// merge adds the members of from, a mapping or a list of them, that n lacks.
func (r *reader) merge(n *node, from member) error {
	switch from.value.kind {
	case kindList:
		for _, one := range from.value.items {
			if err := r.merge(n, member{place: from.place, value: one}); err != nil {
				return err
			}
		}
		return nil
	case kindMapping:
		for _, m := range from.value.members {
			if n.find(m.key) == nil {
				n.add(m)
			}
		}
		return nil
	}
	return r.errorf(from.place, "<< merges %s: want a mapping", from.value.kind)
}
