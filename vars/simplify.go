package vars

import "strings"

// simplify chooses the cheapest form of t: static text, pieces, or nodes. The
// nodes of a template with secrets are kept for [Template.Redacted].
func (t *Template) simplify() {
	ps, ok := pieces(t.nodes)
	if !ok {
		return
	}
	if !t.secret {
		t.nodes = nil
	}
	if len(ps) == 0 || len(ps) == 1 && ps[0].none && !t.secret {
		if len(ps) == 1 {
			t.static = ps[0].text
		}
		return
	}
	t.pieces = ps
}

// pieces rewrites nodes, or reports false when one of them needs the general form.
func pieces(ns []node) (ps []piece, ok bool) {
	var constant strings.Builder
	for _, n := range ns {
		p, ok := pieceOf(n)
		if !ok || constant.Len()+len(p.text) > MaxSize {
			return nil, false
		}
		constant.WriteString(p.text)
		if !p.none {
			p.text = constant.String()
			ps = append(ps, p)
			constant.Reset()
		}
	}
	if constant.Len() > 0 {
		ps = append(ps, piece{text: constant.String(), none: true})
	}
	return ps, true
}

func pieceOf(n node) (piece, bool) {
	switch n := n.(type) {
	case plain:
		return piece{text: string(n), none: true}, true
	case output:
		switch e := n.e.(type) {
		case literal:
			return piece{text: e.v.String(), none: true}, true
		case reference:
			return piece{ref: e}, true
		case *applied:
			if r, ok := e.arg.(reference); ok {
				return piece{ref: r, fn: e}, true
			}
		}
	}
	return piece{}, false
}
