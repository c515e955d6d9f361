package hostfile

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
)

// parsePath reads a JSONPath; names with dashes may follow a dot.
func parsePath(s string) (*extract.JSONPath, error) {
	p, err := extract.ParseJSONPath(s)
	if err == nil {
		return p, nil
	}
	if q, again := extract.ParseJSONPath(quoteDashes(s)); again == nil {
		return q, nil
	}
	return nil, &muster.Error{Kind: muster.KindInvalid, Err: err}
}

// dashedName is a name after a dot that needs brackets by RFC 9535, and that other
// dialects and many users write without; or a part of a path to leave alone.
var dashedName = regexp.MustCompile(`"[^"]*"|'[^']*'|\.\.?[\pL\d_]+(?:-[\pL\d_]+)+`)

// quoteDashes turns $.a.small-hosts into $.a['small-hosts'], outside quotes.
func quoteDashes(path string) string {
	return dashedName.ReplaceAllStringFunc(path, func(s string) string {
		if s[0] != '.' {
			return s
		}
		if s[1] == '.' {
			return "..['" + s[2:] + "']"
		}
		return "['" + s[1:] + "']"
	})
}

// selectJSON reads a whole document and the rows that the JSONPath selects in it.
func (r Reader) selectJSON(in *input, emit emitFunc) error {
	text, err := in.load(MaxDocument)
	if err != nil {
		return err
	}
	return r.selectIn(in, text, emit)
}

// selectIn emits what the JSONPath selects in JSON text. A selected list gives its
// elements, so $.hosts and $.hosts[*] mean the same. Positions are lost.
func (r Reader) selectIn(in *input, text []byte, emit emitFunc) error {
	p, err := parsePath(r.JSONPath)
	if err != nil {
		return err
	}
	doc, err := extract.DecodeJSON(text)
	if err != nil {
		return in.placed(text, err)
	}
	found, err := p.Find(doc)
	if err != nil {
		return muster.Errorf(muster.KindInvalid, "%s: select %s: %w", in.name, r.JSONPath, err)
	}
	rows := &rowMaker{in: in, each: r.Each, emit: emit}
	for _, v := range found {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, one := range list {
			if !rows.add(nodeOf(one)) {
				return nil
			}
		}
	}
	return nil
}

// placed finds the line and column of what the decoder says is wrong with text.
func (in *input) placed(text []byte, err error) error {
	again := newInput(in.name, bytes.NewReader(text))
	if _, exact := parseJSON(again); exact != nil {
		return exact
	}
	return in.errorf(place{}, "%s", err)
}

// nodeOf turns a decoded value into a node without position.
func nodeOf(v any) *node {
	switch v := v.(type) {
	case nil:
		return &node{}
	case string:
		return &node{kind: kindText, text: v}
	case []any:
		n := &node{kind: kindList}
		for _, item := range v {
			n.list = append(n.list, nodeOf(item))
		}
		return n
	case map[string]any:
		n := &node{kind: kindObject}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			n.fields = append(n.fields, field{name: k, value: nodeOf(v[k])})
		}
		return n
	}
	n := &node{kind: kindNumber}
	if _, ok := v.(bool); ok {
		n.kind = kindBool
	}
	text, _ := json.Marshal(v) // a number or boolean that was decoded encodes
	n.text = string(text)
	return n
}
