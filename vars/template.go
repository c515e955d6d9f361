package vars

import (
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

const (
	// MaxSize bounds, in bytes, the text of a template with actions, and what one
	// expansion may write and compute.
	MaxSize = 16 << 20
	// maxActions bounds the actions of a template, so that parsing one stays cheap.
	maxActions = 10_000
	// maxDepth bounds how deeply parentheses and conditions nest.
	maxDepth = 200
)

// Parser reads templates. The zero value refuses secrets.
type Parser struct {
	// Secret resolves a reference such as "env:NAME"; nil refuses secrets. It
	// is called while a template is parsed, once per use.
	Secret func(ref string) (muster.Secret, error)
}

// Template is a parsed template. It is immutable and safe for concurrent use;
// the zero value is the empty text.
type Template struct {
	name   string
	static string   // all of it, when pieces and nodes are empty
	pieces []piece  // the fast form: text and simple substitutions
	nodes  []node   // the general form
	names  []string // sorted
	secret bool
}

// Parse reads text without access to secrets; see [Parser.Parse].
func Parse(name, text string) (*Template, error) { return Parser{}.Parse(name, text) }

// Parse reads a template. name is what error messages call it, such as "header
// Authorization". Text without "{{" is taken as it is, whatever its length. Errors
// are of kind invalid and name the line, except that an error of Secret keeps its kind.
func (p Parser) Parse(name, text string) (*Template, error) {
	if !strings.Contains(text, "{{") {
		return &Template{name: name, static: text}, nil
	}
	c := &compiler{name: name, text: text, secret: p.Secret, names: map[string]int{}}
	return c.compile()
}

// Static returns the whole text and true when it is the same for every target
// and holds no secret.
func (t *Template) Static() (string, bool) {
	if t.pieces != nil || t.nodes != nil {
		return "", false
	}
	return t.static, true
}

// Names returns, sorted, the variables that the template may read, as they are
// written after the dot: "host", "labels.env", "vars.x". A use of the whole map
// is "labels" or "vars". Nil means that every target gets the same text.
func (t *Template) Names() []string { return slices.Clone(t.names) }

// Secret reports whether an expansion may hold a secret. It must then not be
// shown; [Template.Redacted] can be.
func (t *Template) Secret() bool { return t.secret }

// Expand returns the text for one target. An error is the target's own defect, of
// kind invalid, and never shows a secret: a [MissingError], a value that a
// function refuses, or a result over [MaxSize].
func (t *Template) Expand(tg *muster.Target) (string, error) {
	if s, ok := t.Static(); ok {
		return s, nil
	}
	var buf [256]byte
	b, err := t.Append(buf[:0], tg)
	return string(b), err
}

// Append appends what [Template.Expand] returns to dst. On error it returns dst as it was.
func (t *Template) Append(dst []byte, tg *muster.Target) ([]byte, error) {
	switch {
	case t.pieces != nil:
		return t.appendPieces(dst, tg)
	case t.nodes != nil:
		return t.appendNodes(dst, tg, false)
	}
	return append(dst, t.static...), nil
}

// Redacted returns the text for one target with "[redacted]" in place of
// whatever was computed from a secret.
func (t *Template) Redacted(tg *muster.Target) (string, error) {
	if !t.secret {
		return t.Expand(tg)
	}
	b, err := t.appendNodes(nil, tg, true)
	return string(b), err
}
