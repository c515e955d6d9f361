package strictyaml

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decoder collects the mistakes of one decoding.
type decoder struct {
	Reader
	name string
	errs []error
}

var (
	rawType  = reflect.TypeFor[json.RawMessage]()
	jsonType = reflect.TypeFor[json.Unmarshaler]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) decodeInto(n *node, path string, v any) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		d.errs = append(d.errs, fmt.Errorf("decode into %T: want a pointer", v))
		return
	}
	d.decode(n, path, rv.Elem())
}

func (d *decoder) bad(n *node, path, format string, args ...any) {
	d.errs = append(d.errs, problem(d.name, n.place, path, fmt.Errorf(format, args...)))
}

func (d *decoder) want(n *node, path, what string) {
	switch {
	case n.kind == kindText && n.quoted:
		d.bad(n, path, "%q is a text: want %s", shorten(n.text), what)
	case n.scalar():
		d.bad(n, path, "%q: want %s", shorten(n.text), what)
	default:
		d.bad(n, path, "%s: want %s", n.kind, what)
	}
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}

// decode sets v, which is addressable, to what n says.
func (d *decoder) decode(n *node, path string, v reflect.Value) {
	if n.kind == kindNull {
		if !d.YAML11 {
			d.bad(n, path, "there is no value: give one, or leave the key out")
		}
		return
	}
	switch {
	case v.Type() == rawType:
		v.SetBytes(n.appendJSON(nil))
		return
	case v.Addr().Type().Implements(jsonType):
		d.add(n, path, v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(n.appendJSON(nil)))
		return
	case v.Addr().Type().Implements(textType):
		if !n.scalar() {
			d.want(n, path, "a text")
			return
		}
		d.add(n, path, v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)))
		return
	}
	d.decodeKind(n, path, v)
}

func (d *decoder) add(n *node, path string, err error) {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("%s does not fit", e.Value)
	}
	if err != nil {
		d.bad(n, path, "%w", err)
	}
}

func (d *decoder) decodeKind(n *node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.decode(n, path, p.Elem())
		v.Set(p)
	case reflect.Struct:
		d.decodeStruct(n, path, v)
	case reflect.Map:
		d.decodeMap(n, path, v)
	case reflect.Slice:
		d.decodeSlice(n, path, v)
	case reflect.Interface:
		d.add(n, path, json.Unmarshal(n.appendJSON(nil), v.Addr().Interface()))
	default:
		d.decodeScalar(n, path, v)
	}
}

func (d *decoder) decodeScalar(n *node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if !n.scalar() {
			d.want(n, path, "a text")
			return
		}
		v.SetString(n.text)
	case reflect.Bool:
		b, ok := n.boolean()
		if !ok || n.kind == kindText && !d.YAML11 {
			d.want(n, path, "true or false")
			return
		}
		v.SetBool(b)
	case reflect.Float32, reflect.Float64:
		f, ok := n.number()
		if !ok {
			d.want(n, path, "a number")
			return
		}
		v.SetFloat(f)
	default:
		d.decodeInteger(n, path, v)
	}
}

func (d *decoder) decodeInteger(n *node, path string, v reflect.Value) {
	i, ok := n.integer()
	switch {
	case v.CanInt() && ok && !v.OverflowInt(i):
		v.SetInt(i)
	case v.CanUint() && ok && i >= 0 && !v.OverflowUint(uint64(i)):
		v.SetUint(uint64(i))
	case v.CanUint():
		d.want(n, path, "a whole number of 0 or more")
	default:
		d.want(n, path, "a whole number")
	}
}

func (d *decoder) decodeSlice(n *node, path string, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if err := json.Unmarshal(n.appendJSON(nil), v.Addr().Interface()); err != nil {
			d.want(n, path, "bytes in base64")
		}
		return
	}
	if n.kind != kindList {
		d.want(n, path, "a list")
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.decode(item, fmt.Sprintf("%s[%d]", path, i), s.Index(i))
	}
	v.Set(s)
}

func (d *decoder) decodeMap(n *node, path string, v reflect.Value) {
	if n.kind != kindMapping {
		d.want(n, path, "a mapping")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.members))
	for _, mem := range n.members {
		e := reflect.New(v.Type().Elem()).Elem()
		d.decode(mem.value, join(path, mem.key), e)
		m.SetMapIndex(reflect.ValueOf(mem.key).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

func (d *decoder) decodeStruct(n *node, path string, v reflect.Value) {
	if n.kind != kindMapping {
		d.want(n, path, "a mapping")
		return
	}
	fields := fieldsOf(v.Type())
	for _, mem := range n.members {
		at := join(path, mem.key)
		i := fields.find(mem.key)
		if i < 0 {
			d.errs = append(d.errs, problem(d.name, mem.place, at, errors.New(unknown(mem.key, fields.names()))))
			continue
		}
		d.decode(mem.value, at, v.FieldByIndex(fields[i].index))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// field is one key that a struct knows.
type field struct {
	name  string
	index []int
}

type fields []field

func (fs fields) find(name string) int {
	for i := range fs {
		if fs[i].name == name {
			return i
		}
	}
	return -1
}

func (fs fields) names() []string {
	names := make([]string, len(fs))
	for i := range fs {
		names[i] = fs[i].name
	}
	return names
}

// fieldsOf lists the keys of a struct by its json tags, those of embedded structs included.
func fieldsOf(t reflect.Type) fields {
	var fs fields
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			for _, inner := range fieldsOf(f.Type) {
				fs = append(fs, field{inner.name, append([]int{i}, inner.index...)})
			}
		case !f.IsExported() || name == "-":
		case name == "":
			fs = append(fs, field{f.Name, []int{i}})
		default:
			fs = append(fs, field{name, []int{i}})
		}
	}
	return fs
}
