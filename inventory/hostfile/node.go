package hostfile

import (
	"encoding/json"
	"slices"
	"strings"
)

// kind is the type of a node.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindObject
	kindVault // encrypted: unknown to us
)

func (k kind) String() string {
	switch k {
	case kindBool:
		return "a boolean"
	case kindNumber:
		return "a number"
	case kindText:
		return "a text"
	case kindList:
		return "a list"
	case kindObject:
		return "an object"
	case kindVault:
		return "a vaulted value"
	}
	return "null"
}

// node is a value of a JSON or YAML document with its position. Aliases share nodes.
type node struct {
	kind   kind
	text   string // of a scalar, as written; of a text, unquoted
	at     place
	list   []*node
	fields []field
	size   int // nodes in it when aliases are followed; kept by YAML only
}

// field is one entry of an object; names are unique.
type field struct {
	name  string
	at    place
	value *node
}

// get returns the value of a field, nil when there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

// scalar reports whether n is a text, number or boolean.
func (n *node) scalar() bool {
	return n.kind == kindText || n.kind == kindNumber || n.kind == kindBool
}

// string returns the text of a scalar and compact JSON of anything else; "" is null.
func (n *node) string() string {
	switch {
	case n.scalar():
		return n.text
	case n.kind == kindNull || n.kind == kindVault:
		return ""
	}
	return string(n.appendJSON(nil))
}

func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case kindText:
		return appendQuoted(b, n.text)
	case kindBool:
		return append(b, strings.ToLower(n.text)...)
	case kindNumber:
		if !json.Valid([]byte(n.text)) { // YAML writes 0x1f, 1_000, .5 and .inf
			return appendQuoted(b, n.text)
		}
		return append(b, n.text...)
	case kindList:
		b = append(b, '[')
		for i, item := range n.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case kindObject:
		b = append(b, '{')
		for i, f := range n.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, f.name), ':')
			b = f.value.appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendQuoted(b []byte, s string) []byte {
	q, _ := json.Marshal(s) // a string always encodes
	return append(b, q...)
}

// fieldIndex finds the fields of an object under construction. It is a map only
// once there are many; its zero value is ready.
type fieldIndex map[string]int

// find returns the place of the field of that name among n's, -1 when there is none.
func (x *fieldIndex) find(n *node, name string) int {
	const few = 16
	if len(n.fields) < few {
		return slices.IndexFunc(n.fields, func(f field) bool { return f.name == name })
	}
	if *x == nil {
		*x = make(fieldIndex, 2*few)
		for i, f := range n.fields {
			(*x)[f.name] = i
		}
	}
	if i, ok := (*x)[name]; ok {
		return i
	}
	return -1
}

// set adds a field to n; a later one of the same name replaces.
func (x *fieldIndex) set(n *node, f field) {
	if i := x.find(n, f.name); i >= 0 {
		n.fields[i] = f
		return
	}
	if *x != nil {
		(*x)[f.name] = len(n.fields)
	}
	n.fields = append(n.fields, f)
}
