package vars

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/musterhq/muster"
)

// compiler turns the tree of text/template's parser into nodes. It knows what it
// allows; everything else the parser accepts is an error.
type compiler struct {
	name, text string
	secret     func(string) (muster.Secret, error)
	names      map[string]int
	secrets    int // how many secrets were resolved so far
	folded     int // bytes computed while compiling
	depth      int
}

func (c *compiler) compile() (*Template, error) {
	if len(c.text) > MaxSize {
		return nil, c.errorAt(0, "a template with {{ may have 16 MiB, this one has %d bytes", len(c.text))
	}
	if n := strings.Count(c.text, "{{"); n > maxActions {
		return nil, c.errorAt(0, "%d actions, want at most %d", n, maxActions)
	}
	root, err := c.parse()
	if err != nil {
		return nil, err
	}
	nodes, err := c.list(root)
	if err != nil {
		return nil, err
	}
	t := &Template{name: c.name, secret: c.secrets > 0, nodes: nodes}
	if len(c.names) > 0 {
		t.names = slices.Sorted(maps.Keys(c.names))
	}
	t.simplify()
	return t, nil
}

func (c *compiler) parse() (*parse.ListNode, error) {
	const parseName = "t" // the real name may hold a percent sign, which the parser mistakes for a verb
	tree := parse.New(parseName)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if _, err := tree.Parse(c.text, "", "", set); err != nil {
		return nil, c.syntaxError(strings.TrimPrefix(err.Error(), "template: "+parseName+":"))
	}
	for name := range set {
		if name != parseName {
			return nil, c.errorAt(0, "define and block are not supported: there are no templates within templates")
		}
	}
	return tree.Root, nil
}

func (c *compiler) syntaxError(msg string) error {
	hint := ""
	if strings.Contains(msg, "bad character") {
		hint = `; for a name that is no identifier write {{var "a-b"}}`
	}
	return muster.Errorf(muster.KindInvalid, "%s: line %s%s", c.name, msg, hint)
}

// errorAt names the template and the line of pos.
func (c *compiler) errorAt(pos parse.Pos, format string, args ...any) error {
	line := 1 + strings.Count(c.text[:min(int(pos), len(c.text))], "\n")
	return muster.Errorf(muster.KindInvalid, "%s: line %d: %s", c.name, line, fmt.Sprintf(format, args...))
}

func (c *compiler) enter(pos parse.Pos) error {
	if c.depth++; c.depth > maxDepth {
		return c.errorAt(pos, "nested more than %d deep", maxDepth)
	}
	return nil
}

func (c *compiler) list(l *parse.ListNode) ([]node, error) {
	if l == nil {
		return nil, nil
	}
	if err := c.enter(l.Pos); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	var ns []node
	for _, n := range l.Nodes {
		compiled, err := c.node(n)
		if err != nil {
			return nil, err
		}
		ns = append(ns, compiled)
	}
	return ns, nil
}

func (c *compiler) node(n parse.Node) (node, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return plain(n.Text), nil
	case *parse.ActionNode:
		before := c.secrets
		e, err := c.pipe(n.Pipe)
		return output{e, c.secrets > before}, err
	case *parse.IfNode:
		return c.branch(n)
	}
	return nil, c.errorAt(n.Position(), "%s is not supported: a template has only {{value}} and {{if}}", keyword(n))
}

// keyword returns the first word of an unsupported action.
func keyword(n parse.Node) string {
	switch n.(type) {
	case *parse.RangeNode:
		return "range"
	case *parse.WithNode:
		return "with"
	case *parse.TemplateNode:
		return "template"
	}
	return "this action"
}

func (c *compiler) branch(n *parse.IfNode) (b branch, err error) {
	if b.cond, err = c.pipe(n.Pipe); err != nil {
		return b, err
	}
	if b.then, err = c.list(n.List); err != nil {
		return b, err
	}
	b.not, err = c.list(n.ElseList)
	return b, err
}

func (c *compiler) pipe(p *parse.PipeNode) (e expression, err error) {
	if len(p.Decl) > 0 {
		return nil, c.errorAt(p.Pos, "assignments such as $x := are not supported")
	}
	if err := c.enter(p.Pos); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	for _, cmd := range p.Cmds {
		if e, err = c.command(cmd, e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// command compiles one stage of a pipeline; piped, unless nil, is its last argument.
func (c *compiler) command(cmd *parse.CommandNode, piped expression) (expression, error) {
	if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok {
		return c.call(id, cmd.Args[1:], piped)
	}
	if len(cmd.Args) > 1 || piped != nil {
		return nil, c.errorAt(cmd.Pos, "%s is not a function; there are %s", cmd.Args[0], functions)
	}
	return c.operand(cmd.Args[0])
}

func (c *compiler) operand(n parse.Node) (expression, error) {
	switch n := n.(type) {
	case *parse.FieldNode:
		return c.field(n, n.Ident)
	case *parse.VariableNode:
		return c.field(n, n.Ident[1:]) // the parser knows no variable but $
	case *parse.PipeNode:
		return c.pipe(n)
	case *parse.StringNode:
		return literal{v: textValue(n.Text)}, nil
	case *parse.NumberNode:
		if n.IsInt {
			return literal{v: value{kind: number, n: n.Int64}}, nil
		}
		return literal{v: textValue(n.Text)}, nil
	case *parse.BoolNode:
		return literal{v: boolValue(n.True)}, nil
	case *parse.IdentifierNode:
		return c.call(n, nil, nil)
	}
	return nil, c.errorAt(n.Position(), "%s is not supported here: want a variable such as .host, a literal or a function", n)
}

func (c *compiler) field(n parse.Node, path []string) (expression, error) {
	var r reference
	switch {
	case len(path) == 1 && path[0] == "vars":
		r.scope = varMap
	case len(path) == 1 && path[0] == "labels":
		r.scope = labelMap
	case len(path) == 1:
		r.name = path[0]
	case len(path) == 2 && path[0] == "vars":
		r = reference{path[1], varScope}
	case len(path) == 2 && path[0] == "labels":
		r = reference{path[1], labelScope}
	default:
		return nil, c.errorAt(n.Position(), "%s: want .NAME, .vars.NAME or .labels.NAME", n)
	}
	return c.use(r), nil
}

func (c *compiler) use(r reference) expression {
	c.names[r.String()]++
	return r
}

// unuse takes back the use of a map of which only one entry is read.
func (c *compiler) unuse(r reference) {
	if c.names[r.String()]--; c.names[r.String()] == 0 {
		delete(c.names, r.String())
	}
}

// wrapAt is errorAt for an error that keeps its kind, invalid unless it has one.
func (c *compiler) wrapAt(pos parse.Pos, what string, err error) error {
	kind := muster.KindInvalid
	if e, ok := errors.AsType[*muster.Error](err); ok {
		kind = e.Kind
	}
	line := 1 + strings.Count(c.text[:min(int(pos), len(c.text))], "\n")
	return muster.Errorf(kind, "%s: line %d: %s: %w", c.name, line, what, err)
}
