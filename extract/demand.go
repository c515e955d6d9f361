package extract

import (
	"errors"

	"github.com/musterhq/muster"
)

// demand is a condition that an answer must meet, to be OK.
type demand struct {
	what   string // "expect", or the check's name
	reason string // of an answer that does not meet it
	expr   *expression
	cel    *celProgram
}

func (c *demand) holds(e *evidence) (bool, error) {
	if c.cel != nil {
		return c.cel.holds(e)
	}
	return c.expr.holds(e)
}

// compileDemands compiles what a expects.
func (j *Judge) compileDemands(a muster.Action, fields []string) (errs []error) {
	add := func(c demand, text string) {
		x, err := compileExpression(c.what, text, fields, true)
		if errs = append(errs, err); err != nil {
			return
		}
		c.expr = x
		j.demands = append(j.demands, c)
		j.failures = j.failures || x.used["failure"]
		j.wants.add(x.wants)
	}
	if a.Expect != "" {
		add(demand{what: "expect", reason: "expect " + shorten(a.Expect)}, a.Expect)
	}
	for _, check := range a.Checks {
		c := demand{what: check.Name, reason: check.Name}
		switch {
		case check.Name == "":
			errs = append(errs, muster.Errorf(muster.KindInvalid, "checks: one has no name, which would be the reason of what it finds"))
		case (check.Expect == "") == (check.CEL == ""):
			errs = append(errs, muster.Errorf(muster.KindInvalid, "checks: %s: want one of expect and cel", check.Name))
		case check.Expect != "":
			add(c, check.Expect)
		default:
			var err error
			c.cel, err = compileCEL(check.Name, check.CEL)
			errs = append(errs, err)
			j.demands = append(j.demands, c)
			j.wants.body = true
		}
	}
	return errs
}

// firstBroken returns the first condition that does not hold; the error says why it cannot be evaluated.
func (j *Judge) firstBroken(e *evidence) (*demand, error) {
	for i := range j.demands {
		c := &j.demands[i]
		if met, err := c.holds(e); err != nil || !met {
			return c, err
		}
	}
	return nil, nil
}

// CheckCEL reports whether text is an expression of the Common Expression Language over body.
func CheckCEL(text string) error {
	_, err := compileCEL("cel", text)
	if e, ok := errors.AsType[*muster.Error](err); ok {
		return e
	}
	return err
}
