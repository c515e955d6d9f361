package strictyaml

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindMapping
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "a text", "a list", "a mapping"}[k]
}

// node is one value of a document.
type node struct {
	kind    kind
	text    string // of a scalar, as it is written
	quoted  bool
	items   []*node
	members []member
	index   map[string]int // of members
	place   place
	size    int // nodes in it, itself included, aliases followed
}

type member struct {
	key   string
	place place
	value *node
}

func (n *node) scalar() bool { return n.kind == kindBool || n.kind == kindNumber || n.kind == kindText }

func (n *node) add(m member) {
	if n.index == nil {
		n.index = map[string]int{}
	}
	n.index[m.key] = len(n.members)
	n.members = append(n.members, m)
}

func (n *node) find(key string) *member {
	i, ok := n.index[key]
	if !ok {
		return nil
	}
	return &n.members[i]
}

// at returns the node at a path of keys and [index]; nil when there is none.
func (n *node) at(path string) *node {
	for path != "" && n != nil {
		if rest, ok := strings.CutPrefix(path, "["); ok {
			number, after, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n, path = n.items[i], strings.TrimPrefix(after, ".")
			continue
		}
		key := path
		if end := strings.IndexAny(path, ".["); end >= 0 {
			key = path[:end]
		}
		m := n.find(key)
		if m == nil {
			return nil
		}
		n, path = m.value, strings.TrimPrefix(path[len(key):], ".")
	}
	return n
}

// child returns a mapping's value or a list's item, nil when there is none.
func (n *node) child(key string) *node {
	if m := n.find(key); m != nil {
		return m.value
	}
	if i, err := strconv.Atoi(key); err == nil && n.kind == kindList && i >= 0 && i < len(n.items) {
		return n.items[i]
	}
	return nil
}

// boolean reads a truth value as YAML 1.1 writes it, too.
func (n *node) boolean() (value, ok bool) {
	if n.quoted || n.kind != kindBool && n.kind != kindText {
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	}
	return false, false
}

func (n *node) integer() (int64, bool) {
	if n.kind != kindNumber {
		return 0, false
	}
	if i, err := strconv.ParseInt(n.text, 0, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<62 {
		return 0, false
	}
	return int64(f), true
}

func (n *node) number() (float64, bool) {
	if n.kind != kindNumber {
		return 0, false
	}
	if f, err := strconv.ParseFloat(n.text, 64); err == nil {
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	i, err := strconv.ParseInt(n.text, 0, 64)
	return float64(i), err == nil
}

func (n *node) appendJSON(dst []byte) []byte {
	switch n.kind {
	case kindBool:
		v, _ := n.boolean()
		return strconv.AppendBool(dst, v)
	case kindNumber:
		return n.appendNumber(dst)
	case kindText:
		return appendText(dst, n.text)
	case kindList:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}
		return append(dst, ']')
	case kindMapping:
		dst = append(dst, '{')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, m.key), ':')
			dst = m.value.appendJSON(dst)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

func (n *node) appendNumber(dst []byte) []byte {
	if json.Valid([]byte(n.text)) {
		return append(dst, n.text...)
	}
	if i, ok := n.integer(); ok {
		return strconv.AppendInt(dst, i, 10)
	}
	if f, ok := n.number(); ok {
		return strconv.AppendFloat(dst, f, 'g', -1, 64)
	}
	return appendText(dst, n.text)
}

func appendText(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return dst
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
