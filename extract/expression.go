package extract

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/musterhq/muster"
)

const (
	maxExpression  = 16 << 10  // bytes of text
	maxNodes       = 1000      // of its syntax tree
	maxBuiltValues = 1_000_000 // elements of the collections that one evaluation builds
)

// expression is a compiled condition or expr: rule, safe for concurrent use.
type expression struct {
	what, text string
	program    *vm.Program
	used       map[string]bool // names of the environment
	wants      wants
	machines   sync.Pool // of *machine
}

type machine struct {
	vm  vm.VM
	env environment
}

// compileExpression compiles text, which messages call what. fields may be named
// without the "fields." before them.
func compileExpression(what, text string, fields []string, boolean bool) (*expression, error) {
	if len(text) > maxExpression {
		return nil, muster.Errorf(muster.KindInvalid, "%s: %d bytes, want at most %d", what, len(text), maxExpression)
	}
	v := &visitor{fields: fields, used: map[string]bool{}}
	opts := append(boundedBuiltins(), expr.Env(&environment{}), expr.Patch(v), expr.MaxNodes(maxNodes))
	if boolean {
		opts = append(opts, expr.AsBool())
	}
	program, err := expr.Compile(text, opts...)
	if err = errors.Join(v.err, err); err != nil {
		return nil, compileError(what, text, fields, err)
	}
	x := &expression{what: what, text: text, program: program, used: v.used, wants: v.wants()}
	x.machines.New = func() any { return &machine{vm: vm.VM{MemoryBudget: maxBuiltValues}} }
	return x, nil
}

// compileError names the text, the place, and for an unknown name what there is.
func compileError(what, text string, fields []string, err error) error {
	e, ok := errors.AsType[*file.Error](err)
	if !ok {
		return muster.Errorf(muster.KindInvalid, "%s %q: %w", what, shorten(text), err)
	}
	place := fmt.Sprintf("column %d", e.Column+1)
	if e.Line > 1 {
		place = fmt.Sprintf("line %d, %s", e.Line, place)
	}
	msg := e.Message
	if strings.HasPrefix(msg, "unknown name") {
		msg += "; there are " + available
		if len(fields) > 0 {
			msg += ", and the fields " + strings.Join(fields, ", ")
		}
	}
	return muster.Errorf(muster.KindInvalid, "%s %q, %s: %s", what, shorten(text), place, msg)
}

// run evaluates the expression.
func (x *expression) run(e *evidence) (any, error) {
	m := x.machines.Get().(*machine)
	m.env.fill(e, x.used)
	v, err := m.vm.Run(x.program, &m.env)
	if err != nil {
		m.vm = vm.VM{MemoryBudget: maxBuiltValues}
	}
	clear(m.vm.Variables)
	m.env = environment{}
	x.machines.Put(m)
	return v, err
}

// holds evaluates a condition.
func (x *expression) holds(e *evidence) (bool, error) {
	v, err := x.run(e)
	if err != nil {
		return false, x.explain(e, err)
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("yields %T, want true or false", v)
	}
	return b, nil
}

// explain says what lies behind an evaluation's error.
func (x *expression) explain(e *evidence, err error) error {
	if x.used["json"] && e.docErr != nil {
		return fmt.Errorf("the body is no JSON: %w", e.docErr)
	}
	f, ok := errors.AsType[*file.Error](err)
	if !ok {
		return err
	}
	// The last instruction of a condition whose type is unknown is a cast.
	if kind, ok := strings.CutPrefix(f.Message, "invalid operation: bool("); ok {
		return fmt.Errorf("yields %s, want true or false", strings.TrimSuffix(kind, ")"))
	}
	return errors.New(f.Message)
}

var varying = regexp.MustCompile(`"[^"]*"|'[^']*'|[0-9]+`)

// stable makes an evaluation's error a text of low cardinality: without what an answer
// may have brought into it.
func stable(err error) string {
	msg, _, _ := strings.Cut(err.Error(), ": JSON: ")
	return shorten(varying.ReplaceAllString(msg, "…"))
}

// wants is what a rule or condition needs of a result beyond the cheap parts.
type wants struct {
	body    bool
	headers []string // in lower case; "*" is all
}

func (w *wants) add(o wants) {
	w.body = w.body || o.body
	all := map[string]bool{}
	for _, h := range append(w.headers, o.headers...) {
		all[h] = true
	}
	w.headers = slices.Sorted(maps.Keys(all))
	if all["*"] {
		w.headers = []string{"*"}
	}
}
