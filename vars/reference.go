package vars

import (
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// reference is a variable by name.
type reference struct {
	name  string
	scope scope
}

type scope uint8

const (
	anyScope   scope = iota // the variable, else the built-in, else the label
	varScope                // .vars.X
	labelScope              // .labels.X
	varMap                  // .vars
	labelMap                // .labels
)

var builtins = []string{"addr", "host", "id", "index", "name", "path", "port", "scheme"}

// String returns the reference as it is written after the dot.
func (r reference) String() string {
	switch r.scope {
	case varScope:
		return "vars." + r.name
	case labelScope:
		return "labels." + r.name
	case varMap:
		return "vars"
	case labelMap:
		return "labels"
	}
	return r.name
}

// value looks the variable up; its kind is missing when t does not have it.
func (r reference) value(t *muster.Target) value {
	switch r.scope {
	case varMap:
		return value{kind: mapping, m: t.Vars}
	case labelMap:
		return value{kind: mapping, m: t.Labels}
	case varScope:
		return lookUp(t.Vars, r.name)
	case labelScope:
		return lookUp(t.Labels, r.name)
	}
	if v := lookUp(t.Vars, r.name); v.kind != missing {
		return v
	}
	if v := builtin(r.name, t); v.kind != missing {
		return v
	}
	return lookUp(t.Labels, r.name)
}

func lookUp(m map[string]string, name string) value {
	if len(m) == 0 {
		return value{}
	}
	if s, ok := m[name]; ok {
		return textValue(s)
	}
	return value{}
}

// builtin returns what t itself says; parts that it leaves to the action are missing.
func builtin(name string, t *muster.Target) value {
	switch name {
	case "id":
		return textValue(t.ID)
	case "host", "name":
		return textValue(t.Host)
	case "index":
		return value{kind: number, n: int64(t.Index)}
	case "path":
		return textValue(t.Path)
	case "addr":
		if t.Addr.IsValid() {
			return textValue(t.Addr.String())
		}
	case "port":
		if t.Port != 0 {
			return value{kind: number, n: int64(t.Port)}
		}
	case "scheme":
		if t.Scheme != "" {
			return textValue(t.Scheme)
		}
	}
	return value{}
}

// MissingError says that a target lacks a variable of a template. Its fields are
// the receiver's.
type MissingError struct {
	// Template is the template's name as given to Parse.
	Template string
	// Variable is what is missing, as written after the dot: "rack", "labels.env".
	Variable string
	// Target is the target's id.
	Target string
	// Have lists what the target has, sorted: variables and built-ins by name,
	// labels as "labels.X".
	Have []string
}

// maxListed is how many names an error message lists.
const maxListed = 20

// Error names the variable, the template and what there is instead.
func (e *MissingError) Error() string {
	have, more := e.Have, ""
	if len(have) > maxListed {
		have, more = have[:maxListed], ", …"
	}
	return e.Template + ": target " + e.Target + " has no variable " + e.Variable +
		"; it has " + strings.Join(have, ", ") + more
}

func missingError(template string, r reference, t *muster.Target) error {
	have := slices.Collect(maps.Keys(t.Vars))
	for _, b := range builtins {
		if _, hidden := t.Vars[b]; !hidden && builtin(b, t).kind != missing {
			have = append(have, b)
		}
	}
	slices.Sort(have)
	labels := len(have)
	for l := range t.Labels {
		have = append(have, "labels."+l)
	}
	slices.Sort(have[labels:])
	e := &MissingError{Template: template, Variable: r.String(), Target: t.ID, Have: have}
	return &muster.Error{Kind: muster.KindInvalid, Err: e}
}
