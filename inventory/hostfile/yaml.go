package hostfile

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNodes bounds a YAML document whose aliases are followed.
const maxNodes = 20_000_000

// readYAML reads a list of texts or objects, or what a JSONPath selects, or,
// where the format was left open, an Ansible inventory or service discovery.
func (r Reader) readYAML(in *input, emit emitFunc) error {
	doc, err := parseYAML(in)
	if err != nil {
		return err
	}
	switch {
	case r.JSONPath != "":
		return r.selectIn(in, doc.appendJSON(nil), emit)
	case doc.kind == kindList:
		take := r.elements(in, emit)
		for _, n := range doc.list {
			if !take(n) {
				break
			}
		}
		return nil
	case doc.kind == kindObject && r.Format == "" && !r.Each:
		return ansibleYAML(in, doc, emit)
	}
	return r.document(in, doc, emit)
}

// parseYAML reads a document that is alone in its input.
func parseYAML(in *input) (*node, error) {
	text, err := in.load(MaxYAML)
	if err != nil {
		return nil, err
	}
	return parseYAMLText(in, text)
}

func parseYAMLText(in *input, text []byte) (_ *node, err error) {
	if !utf8.Valid(text) {
		return nil, in.errorf(invalidUTF8(text), "the text is not UTF-8")
	}
	y := &yamlReader{in: in, text: text, anchors: map[string]*node{}}
	// The YAML parser is not ours; its panics on broken input are its way to
	// say that the input is broken.
	defer func() {
		if p := recover(); p != nil {
			err = in.errorf(place{}, "the YAML cannot be understood (%v): check it with a YAML linter", p)
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, y.problem(err)
	}
	return y.document(file)
}

// invalidUTF8 returns the place of the first byte that is not UTF-8.
func invalidUTF8(text []byte) place {
	valid := 0
	for valid < len(text) {
		r, n := utf8.DecodeRune(text[valid:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		valid += n
	}
	start := bytes.LastIndexByte(text[:valid], '\n') + 1
	return place{bytes.Count(text[:valid], []byte("\n")) + 1, valid - start + 1}
}

// yamlReader turns the parser's tree into nodes.
type yamlReader struct {
	in      *input
	text    []byte
	lines   [][]byte
	anchors map[string]*node
}

// problem gives the parser's error its place.
func (y *yamlReader) problem(err error) error {
	if ye, ok := errors.AsType[yaml.Error](err); ok {
		return y.in.errorf(y.place(ye.GetToken()), "%s", ye.GetMessage())
	}
	return y.in.errorf(place{}, "%s", err)
}

// place converts the parser's columns, which count characters, to bytes.
func (y *yamlReader) place(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	if y.lines == nil {
		y.lines = bytes.Split(y.text, []byte("\n"))
	}
	p := place{t.Position.Line, t.Position.Column}
	if p.line < 1 || p.line > len(y.lines) {
		return p
	}
	line := y.lines[p.line-1]
	col := 1
	for n := 1; n < p.col && col <= len(line); n++ {
		_, size := utf8.DecodeRune(line[col-1:])
		col += size
	}
	p.col = col
	return p
}

func (y *yamlReader) document(file *ast.File) (*node, error) {
	var doc *node
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if doc != nil {
			return nil, y.in.errorf(y.place(d.Body.GetToken()), "a second YAML document: keep one in a file")
		}
		n, err := y.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		doc = n
	}
	if doc == nil {
		doc = &node{at: place{1, 1}}
	}
	return doc, nil
}

// node converts a value.
func (y *yamlReader) node(v ast.Node, depth int) (*node, error) {
	if v == nil {
		return &node{size: 1}, nil
	}
	at := y.place(v.GetToken())
	if depth > maxDepth {
		return nil, y.in.errorf(at, "nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case *ast.AnchorNode:
		n, err := y.node(v.Value, depth+1)
		if err == nil {
			y.anchors[v.Name.GetToken().Value] = n
		}
		return n, err
	case *ast.AliasNode:
		name := v.Value.GetToken().Value
		if n, ok := y.anchors[name]; ok {
			return n, nil
		}
		return nil, y.in.errorf(at, "the alias *%s has no anchor &%s before it", shorten(name), shorten(name))
	case *ast.TagNode:
		return y.tagged(v, at, depth)
	case *ast.SequenceNode:
		return y.sequence(v, at, depth)
	case *ast.MappingNode:
		return y.mapping(v.Values, at, depth)
	case *ast.MappingValueNode:
		return y.mapping([]*ast.MappingValueNode{v}, at, depth)
	}
	return scalarNode(v, at), nil
}

func scalarNode(v ast.Node, at place) *node {
	n := &node{kind: kindText, at: at, size: 1}
	switch v := v.(type) {
	case *ast.NullNode:
		n.kind = kindNull
	case *ast.StringNode:
		n.text = v.Value
	case *ast.LiteralNode:
		n.text = v.Value.Value
	case *ast.BoolNode:
		n.kind, n.text = kindBool, v.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = kindNumber, v.GetToken().Value
	default:
		n.text = v.GetToken().Value
	}
	return n
}

// tagged converts a value with a tag: !vault hides its value, !!str makes a
// text, other tags change nothing that matters here.
func (y *yamlReader) tagged(v *ast.TagNode, at place, depth int) (*node, error) {
	n, err := y.node(v.Value, depth+1)
	if err != nil {
		return nil, err
	}
	switch tag := v.Start.Value; {
	case tag == "!vault" || tag == "!vault-encrypted":
		return &node{kind: kindVault, at: at, size: 1}, nil
	case tag == "!!str" && n.scalar():
		return &node{kind: kindText, text: n.text, at: n.at, size: 1}, nil
	}
	return n, nil
}

func (y *yamlReader) sequence(v *ast.SequenceNode, at place, depth int) (*node, error) {
	n := &node{kind: kindList, at: at, size: 1}
	for _, value := range v.Values {
		item, err := y.node(value, depth+1)
		if err != nil {
			return nil, err
		}
		n.list = append(n.list, item)
		if err := y.grow(n, item); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// grow accounts for child inside n.
func (y *yamlReader) grow(n, child *node) error {
	if n.size += child.size; n.size > maxNodes {
		return y.in.errorf(n.at, "more than %d values once its aliases are followed", maxNodes)
	}
	return nil
}

func (y *yamlReader) mapping(values []*ast.MappingValueNode, at place, depth int) (*node, error) {
	n := &node{kind: kindObject, at: at, size: 1}
	var index fieldIndex
	var merges []field
	for _, mv := range values {
		value, err := y.node(mv.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if mv.Key.IsMergeKey() {
			merges = append(merges, field{at: y.place(mv.Key.GetToken()), value: value})
			continue
		}
		key, err := y.key(mv.Key)
		if err != nil {
			return nil, err
		}
		if i := index.find(n, key.text); i >= 0 {
			return nil, y.in.errorf(key.at, "key %q is there twice; the first is on line %d", shorten(key.text), n.fields[i].at.line)
		}
		index.set(n, field{key.text, key.at, value})
		if err := y.grow(n, value); err != nil {
			return nil, err
		}
	}
	if len(n.fields) > 0 {
		n.at = n.fields[0].at
	}
	for _, m := range merges {
		if err := y.merge(n, &index, m); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// key converts a key to a text or number node.
func (y *yamlReader) key(k ast.MapKeyNode) (*node, error) {
	var v ast.Node = k
	if mk, ok := k.(*ast.MappingKeyNode); ok {
		v = mk.Value
	}
	n, err := y.node(v, 0)
	if err != nil {
		return nil, err
	}
	if n.kind == kindNull {
		n.text = v.GetToken().Value
	} else if !n.scalar() {
		return nil, y.in.errorf(n.at, "a key is %s: want a text", n.kind)
	}
	return n, nil
}

// merge adds the fields of from, a mapping or a list of them, that n lacks.
func (y *yamlReader) merge(n *node, index *fieldIndex, from field) error {
	if from.value.kind == kindList {
		for _, one := range from.value.list {
			if err := y.merge(n, index, field{at: from.at, value: one}); err != nil {
				return err
			}
		}
		return nil
	}
	if from.value.kind != kindObject {
		return y.in.errorf(from.at, "<< merges %s: want a mapping", from.value.kind)
	}
	for _, f := range from.value.fields {
		if index.find(n, f.name) >= 0 {
			continue
		}
		index.set(n, f)
		if err := y.grow(n, f.value); err != nil {
			return err
		}
	}
	return nil
}

// firstByte returns the first byte that is no white space; ok is false when
// there is none near the start.
func (in *input) firstByte() (c byte, ok bool) {
	head, _ := in.Peek(sniffSize) // an error comes back when it is read
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 {
		return 0, false
	}
	return head[0], true
}
