package extract

import (
	"context"
	"encoding/json"
	"fmt"

	"cel.dev/cel-go/cel"

	"github.com/musterhq/muster"
)

// celProgram is a compiled condition of the Common Expression Language, safe for concurrent use.
type celProgram struct{ program cel.Program }

// interruptEvery is after how many steps of a comprehension an evaluation looks at its time.
const interruptEvery = 100

func compileCEL(what, text string) (*celProgram, error) {
	if len(text) > maxExpression {
		return nil, muster.Errorf(muster.KindInvalid, "%s: %d bytes, want at most %d", what, len(text), maxExpression)
	}
	env, err := cel.NewEnv(cel.Variable("body", cel.DynType))
	if err != nil {
		return nil, muster.Errorf(muster.KindInternal, "%s: %w", what, err)
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "%s: %w", what, err)
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, muster.Errorf(muster.KindInvalid, "%s: %q is of type %s, want true or false", what, shorten(text), t)
	}
	program, err := env.Program(ast, cel.InterruptCheckFrequency(interruptEvery), cel.CostLimit(maxSteps))
	if err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "%s: %w", what, err)
	}
	return &celProgram{program}, nil
}

// holds evaluates the condition over the body, in which all numbers are doubles.
func (c *celProgram) holds(e *evidence) (bool, error) {
	var body any
	if err := json.Unmarshal(e.result.Body, &body); err != nil {
		return false, fmt.Errorf("the body is no JSON: %w", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), maxRunning)
	defer stop()
	out, _, err := c.program.ContextEval(ctx, map[string]any{"body": body})
	if err != nil {
		return false, err
	}
	met, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("yields %s, want true or false", out.Type().TypeName())
	}
	return met, nil
}
