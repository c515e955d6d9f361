package extract

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// visitor adapts an expression's tree: it turns fields named by themselves into
// members of fields, meters predicates and sums of text, and notes what is used.
type visitor struct {
	fields  []string
	used    map[string]bool
	headers []string // named by constants
	named   int      // uses of header and headers that name one
	all     int      // uses of header and headers
	err     error
}

// Visit implements the patcher of expr; children come before their parents.
func (v *visitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		v.identifier(node, n)
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok && isNamed(n.Node, "headers") {
			name.Value = strings.ToLower(name.Value)
			v.name(name.Value)
		}
	case *ast.CallNode:
		if len(n.Arguments) == 1 && (isNamed(n.Callee, "header") || isNamed(n.Callee, "header_values")) {
			if name, ok := n.Arguments[0].(*ast.StringNode); ok {
				v.name(strings.ToLower(name.Value))
			}
		}
	case *ast.PredicateNode:
		n.Node = v.metered(n.Node)
	case *ast.BinaryNode:
		if n.Operator == "+" && mayBeText(n) {
			ast.Patch(node, v.metered(n))
		}
	}
}

// metered wraps n in a call of [meter.step].
func (v *visitor) metered(n ast.Node) ast.Node {
	v.used["__step"] = true
	step := &ast.CallNode{Callee: &ast.IdentifierNode{Value: "__step"}, Arguments: []ast.Node{n}}
	step.Callee.SetLocation(n.Location())
	step.SetLocation(n.Location())
	return step
}

// mayBeText reports whether n's type, as far as it is known, allows a text.
func mayBeText(n ast.Node) bool {
	t := n.Type()
	return t == nil || t.Kind() == reflect.String || t.Kind() == reflect.Interface
}

func isNamed(n ast.Node, name string) bool {
	id, ok := n.(*ast.IdentifierNode)
	return ok && id.Value == name
}

func (v *visitor) name(header string) {
	v.named++
	v.headers = append(v.headers, header)
}

func (v *visitor) identifier(node *ast.Node, n *ast.IdentifierNode) {
	isField := slices.Contains(v.fields, n.Value)
	switch {
	case n.Value == "$env" || n.Value == "__step":
		v.fail(n, "unknown name "+n.Value)
	case isField && builtIn[n.Value]:
		v.fail(n, fmt.Sprintf("%s is both a field and built in: write fields.%s for the field, or rename it", n.Value, n.Value))
	case isField:
		v.used["fields"] = true
		member := &ast.MemberNode{Node: &ast.IdentifierNode{Value: "fields"}, Property: &ast.StringNode{Value: n.Value}}
		member.Node.SetLocation(n.Location())
		member.Property.SetLocation(n.Location())
		ast.Patch(node, member)
	default:
		v.used[n.Value] = true
		if n.Value == "header" || n.Value == "header_values" || n.Value == "headers" {
			v.all++
		}
	}
}

func (v *visitor) fail(n ast.Node, msg string) {
	if v.err == nil {
		v.err = &file.Error{Location: n.Location(), Message: msg, Line: 1, Column: n.Location().From}
	}
}

func (v *visitor) wants() wants {
	w := wants{body: v.used["body"] || v.used["json"] || v.used["size"], headers: v.headers}
	if v.all > v.named {
		w.headers = []string{"*"}
	}
	return w
}
