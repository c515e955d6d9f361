package vars

import (
	"maps"
	"slices"
	"strconv"
)

// value is what a variable, a literal or a function yields.
type value struct {
	kind kind
	s    string            // text
	n    int64             // number; 1 for true
	m    map[string]string // mapping
}

type kind uint8

const (
	missing kind = iota
	text
	number
	boolean
	mapping
)

func textValue(s string) value { return value{kind: text, s: s} }

func boolValue(b bool) value {
	if b {
		return value{kind: boolean, n: 1}
	}
	return value{kind: boolean}
}

// isTrue follows text/template: empty text and maps, zero and false are not.
func (v value) isTrue() bool {
	return v.s != "" || v.n != 0 || len(v.m) > 0
}

// appendText appends the plain text of a text, number or boolean.
func (v value) appendText(dst []byte) []byte {
	switch v.kind {
	case number:
		return strconv.AppendInt(dst, v.n, 10)
	case boolean:
		return strconv.AppendBool(dst, v.n != 0)
	}
	return append(dst, v.s...)
}

func (v value) String() string {
	if v.kind == text {
		return v.s
	}
	return string(v.appendText(nil))
}

// size is what handling the value costs, in bytes.
func (v value) size() int {
	n := len(v.s)
	for k, s := range v.m {
		n += len(k) + len(s)
	}
	return n
}

func (v value) appendJSON(dst []byte) []byte {
	switch v.kind {
	case number, boolean:
		return v.appendText(dst)
	case mapping:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(v.m)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, k), ':')
			dst = appendQuoted(dst, v.m[k])
		}
		return append(dst, '}')
	}
	return appendQuoted(dst, v.s)
}
