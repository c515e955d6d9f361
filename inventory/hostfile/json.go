package hostfile

import (
	"slices"
	"strings"
)

// readJSON reads a list of texts or objects, or what a JSONPath selects.
func (r Reader) readJSON(in *input, emit emitFunc) error {
	if r.JSONPath != "" {
		return r.selectJSON(in, emit)
	}
	j := newJSONReader(in, MaxLine)
	c, ok, err := j.peek()
	switch {
	case err != nil:
		return err
	case !ok:
		return in.errorf(j.next, "the input is empty: want a JSON list")
	case c == '[':
		return j.elements(r.elements(in, emit))
	}
	j.left, j.limit = MaxDocument, MaxDocument
	doc, err := j.value(0)
	if err != nil {
		return err
	}
	if err := j.end(); err != nil {
		return err
	}
	return r.document(in, doc, emit)
}

// readJSONL reads one value after the other.
func (r Reader) readJSONL(in *input, emit emitFunc) error {
	j := newJSONReader(in, MaxLine)
	rows := &rowMaker{in: in, each: r.Each, emit: emit}
	for {
		j.left = j.limit
		_, ok, err := j.peek()
		if err != nil || !ok {
			return err
		}
		n, err := j.value(0)
		if err != nil {
			return err
		}
		if !rows.add(n) {
			return nil
		}
	}
}

// elements returns what takes the elements of a list: as rows, or, where the
// format was left open and the first one shows it, as groups of service discovery.
func (r Reader) elements(in *input, emit emitFunc) func(*node) bool {
	rows := &rowMaker{in: in, each: r.Each, emit: emit}
	take := rows.add
	first := true
	return func(n *node) bool {
		if first && r.Format == "" && !r.Each && isSD(n) {
			sd := &sdMaker{in: in, emit: emit}
			take = sd.lenient
		}
		first = false
		return take(n)
	}
}

// document reads a document that is not a list.
func (r Reader) document(in *input, doc *node, emit emitFunc) error {
	if r.Format == "" && !r.Each && doc.kind == kindObject {
		switch {
		case isAnsibleJSON(doc):
			return ansibleJSON(in, doc, emit)
		case doc.get("result") != nil && (doc.get("hasmore") != nil || doc.get("next") != nil):
			return in.errorf(doc.at, "this looks like an answer of a cms query: read it with format cms")
		}
	}
	if r.Format == "" && doc.kind == kindObject && r.isRow(doc) {
		(&rowMaker{in: in, each: r.Each, emit: emit}).add(doc)
		return nil
	}
	if doc.kind != kindObject {
		return in.errorf(doc.at, "the document is %s: want a list of targets", doc.kind)
	}
	return in.errorf(doc.at, "the document is an object with the keys %s, not a list: say which part with --json-path, as in $.hosts[*]",
		shorten(strings.Join(fieldNames(doc), ", ")))
}

// isRow reports whether a lone object is a row rather than a document around a list.
func (r Reader) isRow(doc *node) bool {
	if !r.Each {
		return hasAddress(columnsOf(fieldNames(doc), false))
	}
	return !slices.ContainsFunc(doc.fields, func(f field) bool { return !f.value.scalar() })
}

func fieldNames(n *node) []string {
	names := make([]string, len(n.fields))
	for i, f := range n.fields {
		names[i] = f.name
	}
	return names
}

// rowMaker turns texts and objects into rows.
type rowMaker struct {
	in     *input
	each   bool
	emit   emitFunc
	number int
	names  []string // of the latest object
	cols   []column // their meaning
}

// add emits the row of n and reports whether more are wanted.
func (m *rowMaker) add(n *node) bool {
	m.number++
	return m.emit(m.row(n))
}

func (m *rowMaker) row(n *node) Row {
	var rec record
	switch {
	case n.kind == kindObject:
		m.object(&rec, n)
	case m.each && n.scalar():
		rec.cell(m.in, column{role: roleVar, name: "value"}, n.text, n.at)
	case !m.each && n.kind == kindText:
		rec.cell(m.in, column{role: roleAddress}, n.text, n.at)
		if rec.row.Spec == "" {
			rec.fail(m.in.errorf(n.at, "row %d is an empty text: want a target", m.number))
		}
	default:
		rec.fail(m.in.errorf(n.at, "row %d is %s: want a text or an object", m.number, n.kind))
	}
	return rec.finish(m.in, m.each, m.number, n.at)
}

func (m *rowMaker) object(rec *record, n *node) {
	if names := fieldNames(n); m.cols == nil || !slices.Equal(names, m.names) {
		m.names, m.cols = names, columnsOf(names, m.each)
	}
	for i, f := range n.fields {
		m.field(rec, m.cols[i], f)
	}
	if !m.each && !hasAddress(m.cols) {
		rec.fail(m.in.errorf(n.at, "the object has no target among %s: name one %s",
			shorten(strings.Join(m.names, ", ")), strings.Join(addressNames(), ", ")))
	}
}

// field adds one key of an object.
func (m *rowMaker) field(rec *record, c column, f field) {
	v := f.value
	switch {
	case v.kind == kindNull || v.kind == kindVault:
		return
	case v.scalar() && (c.role == roleData || c.role == roleLabel || c.role == roleVar):
		rec.set(c, v.text) // an empty text was written on purpose
	case v.scalar():
		rec.cell(m.in, c, v.text, v.at)
	case c.role == roleGroups && v.kind == kindList:
		for _, item := range v.list {
			rec.cell(m.in, c, item.string(), item.at)
		}
	case c.role == roleNA:
		rec.row.Off = true
	case c.role != roleData:
		rec.fail(m.in.errorf(v.at, "key %s is %s: want a text", f.name, v.kind))
	case v.kind == kindObject && (c.name == "labels" || c.name == "vars"):
		m.nested(rec, c.name, v)
	default:
		rec.set(column{role: roleVar, name: c.name}, v.string())
	}
}

// nested adds the entries of an object of labels or variables.
func (m *rowMaker) nested(rec *record, name string, n *node) {
	r := roleVar
	if name == "labels" {
		r = roleLabel
	}
	for _, f := range n.fields {
		if f.value.kind != kindNull {
			rec.set(column{role: r, name: f.name}, f.value.string())
		}
	}
}
