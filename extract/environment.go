package extract

import (
	"errors"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// environment is what an expression sees; the tags are its names.
type environment struct {
	Status     int                   `expr:"status"`
	Code       int                   `expr:"code"`
	StatusText string                `expr:"status_text"`
	Body       string                `expr:"body"`
	Size       int                   `expr:"size"`
	Truncated  bool                  `expr:"truncated"`
	JSON       any                   `expr:"json"`
	Headers    map[string]string     `expr:"headers"`
	Header     func(string) string   `expr:"header"`
	Values     func(string) []string `expr:"header_values"`
	MS         float64               `expr:"ms"`
	Timings    phases                `expr:"timings"`
	Outcome    string                `expr:"outcome"`
	Failure    string                `expr:"failure"`
	Reason     string                `expr:"reason"`
	Attempts   int                   `expr:"attempts"`
	Target     string                `expr:"target"`
	Host       string                `expr:"host"`
	Port       int                   `expr:"port"`
	Address    string                `expr:"address"`
	Labels     map[string]string     `expr:"labels"`
	Vars       map[string]string     `expr:"vars"`
	Fields     map[string]any        `expr:"fields"`
	Step       func(any) any         `expr:"__step"`
}

type phases struct {
	Resolve   float64 `expr:"resolve"`
	Connect   float64 `expr:"connect"`
	TLS       float64 `expr:"tls"`
	FirstByte float64 `expr:"first_byte"`
	Total     float64 `expr:"total"`
}

const available = "status, code, status_text, body, size, truncated, json, headers, header(), header_values(), ms, timings, outcome, failure, " +
	"reason, attempts, target, host, port, address, labels, vars, fields"

// builtIn holds the names of available.
var builtIn = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.SplitSeq(strings.ReplaceAll(available, "()", ""), ", ") {
		m[name] = true
	}
	return m
}()

// fill sets what every expression may see for free, and the rest as used says.
func (v *environment) fill(e *evidence, used map[string]bool) {
	r, tm := e.result, &e.result.Timings
	*v = environment{
		Status: r.Code, Code: r.Code, StatusText: r.Status, Size: len(r.Body), Truncated: r.Truncated,
		MS: milliseconds(tm.Total), Timings: phases{
			milliseconds(tm.Resolve), milliseconds(tm.Connect), milliseconds(tm.TLS),
			milliseconds(tm.FirstByte), milliseconds(tm.Total),
		},
		Outcome: r.Outcome.String(), Failure: r.Failure.String(), Reason: r.Reason, Attempts: r.Attempts,
		Target: r.Target, Port: int(r.Address.Port()),
	}
	v.fillTarget(e.target)
	if used["address"] {
		v.Address = r.AddressText()
	}
	if used["body"] {
		v.Body = string(r.Body)
	}
	if used["json"] {
		doc, _ := e.document() // an error leaves nil
		v.JSON = plainJSON(doc)
	}
	if used["headers"] {
		v.Headers = e.headers()
	}
	if used["header"] {
		v.Header = func(name string) string { s, _ := e.header(strings.ToLower(name)); return s }
	}
	if used["header_values"] {
		v.Values = func(name string) []string { return e.headerValues(strings.ToLower(name)) }
	}
	if used["fields"] {
		v.Fields = e.fields()
	}
	if used["__step"] {
		v.Step = new(meter).step
	}
}

func (v *environment) fillTarget(t *muster.Target) {
	if t == nil {
		return
	}
	if v.Target == "" {
		v.Target = t.ID
	}
	if t.Port != 0 {
		v.Port = int(t.Port)
	}
	v.Host, v.Labels, v.Vars = t.Host, t.Labels, t.Vars
}

const (
	maxSteps   = 5_000_000
	maxRunning = time.Second
	maxString  = 64 << 20 // bytes
)

var errTooMuchWork = errors.New("too much work for one evaluation")

// meter bounds one evaluation: the number of its predicates and sums, the time they
// take, and the text they build.
type meter struct {
	steps int
	began time.Time
}

// step passes a value through. Expressions have no other way to be
// stopped than a panic, which the machine turns into the evaluation's error.
func (m *meter) step(v any) any {
	if m.steps == 0 {
		m.began = time.Now()
	}
	m.steps++
	if m.steps > maxSteps || m.steps%16 == 0 && time.Since(m.began) > maxRunning {
		panic(errTooMuchWork)
	}
	if s, ok := v.(string); ok && len(s) > maxString {
		panic(errLongText)
	}
	return v
}
