package vars

import (
	"strings"
	"text/template/parse"
)

// arity is how many arguments a function takes; max 0 is any number.
type arity struct{ min, max int }

func arityOf(function string) (arity, bool) {
	switch function {
	case "default", "index":
		return arity{2, 2}, true
	case "eq", "ne":
		return arity{2, 0}, true
	case "and", "or":
		return arity{1, 0}, true
	case "not", "var", "secret":
		return arity{1, 1}, true
	}
	_, ok := textFuncs[function]
	return arity{1, 1}, ok
}

// call compiles a function's use; piped, unless nil, is its last argument.
func (c *compiler) call(id *parse.IdentifierNode, nodes []parse.Node, piped expression) (expression, error) {
	want, ok := arityOf(id.Ident)
	if !ok {
		return nil, c.errorAt(id.Pos, "no function %s; there are %s", id.Ident, functions)
	}
	var args []expression
	for _, n := range nodes {
		e, err := c.operand(n)
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	if piped != nil {
		args = append(args, piped)
	}
	if len(args) < want.min || want.max > 0 && len(args) > want.max {
		return nil, c.errorAt(id.Pos, "%s with %d arguments: want %s", id.Ident, len(args), usage(id.Ident))
	}
	return c.apply(id, args)
}

func usage(function string) string {
	switch function {
	case "default":
		return `{{.name | default "value"}}`
	case "index":
		return `{{index .vars "name"}} or {{index .labels "name"}}`
	case "eq", "ne":
		return "{{" + function + ` .name "value"}}`
	case "var":
		return `{{var "name"}}`
	case "secret":
		return `{{secret "env:NAME"}} or {{secret "file:PATH"}}`
	}
	return "{{" + function + " .name}} or {{.name | " + function + "}}"
}

func (c *compiler) apply(id *parse.IdentifierNode, args []expression) (expression, error) {
	switch id.Ident {
	case "default":
		return fallback{args[0], args[1]}, nil
	case "eq", "ne":
		return comparison{id.Ident == "ne", args}, nil
	case "and", "or", "not":
		return logic{id.Ident, args}, nil
	case "var":
		name, ok := literalText(args[0])
		if !ok {
			return nil, c.errorAt(id.Pos, "var: want %s with the name in quotes", usage("var"))
		}
		return c.use(reference{name: name}), nil
	case "index":
		return c.index(id, args)
	case "secret":
		return c.resolve(id, args[0])
	}
	return c.applyText(id, args[0])
}

func literalText(e expression) (string, bool) {
	l, ok := e.(literal)
	return l.v.s, ok && l.v.kind == text && !l.secret
}

func (c *compiler) index(id *parse.IdentifierNode, args []expression) (expression, error) {
	m, _ := args[0].(reference)
	name, ok := literalText(args[1])
	if ok && (m.scope == varMap || m.scope == labelMap) {
		c.unuse(m)
		scope := varScope
		if m.scope == labelMap {
			scope = labelScope
		}
		return c.use(reference{name, scope}), nil
	}
	return nil, c.errorAt(id.Pos, "index: want %s with the name in quotes", usage("index"))
}

// resolve reads a secret. What does not look like a reference may be the secret
// itself, so the message does not repeat it.
func (c *compiler) resolve(id *parse.IdentifierNode, arg expression) (expression, error) {
	ref, ok := literalText(arg)
	scheme, rest, cut := strings.Cut(ref, ":")
	if !ok || !cut || rest == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz") != "" || scheme == "" {
		return nil, c.errorAt(id.Pos, "secret: want a reference in quotes: %s", usage("secret"))
	}
	if c.secret == nil {
		return nil, c.errorAt(id.Pos, "secret %q: secrets are not allowed here", ref)
	}
	s, err := c.secret(ref)
	if err != nil {
		return nil, c.wrapAt(id.Pos, "secret "+ref, err)
	}
	c.secrets++
	return literal{v: textValue(s.Reveal()), secret: true}, nil
}

// applyText compiles a text function, at once when its argument is known.
func (c *compiler) applyText(id *parse.IdentifierNode, arg expression) (expression, error) {
	a := &applied{id.Ident, textFuncs[id.Ident], arg}
	l, ok := arg.(literal)
	if !ok {
		return a, nil
	}
	b, err := a.call(nil, l.v)
	if err == nil {
		c.folded += len(b)
		if c.folded > MaxSize {
			err = errTooLarge
		}
	}
	if err != nil {
		return nil, c.wrapAt(id.Pos, id.Ident, err)
	}
	return literal{textValue(string(b)), l.secret}, nil
}
