package blackbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
	"github.com/musterhq/muster/probe"
)

// compiler makes one module an action.
type compiler struct {
	file   *File
	name   string
	module module
	getenv func(string) string
	plan   muster.Plan
	checks []muster.Check
}

// compile returns the parameters of the module's probe.
func (c *compiler) compile() (any, error) {
	switch c.module.Prober {
	case "http":
		return c.http()
	case "tcp":
		return c.tcp()
	case "icmp":
		return c.icmp()
	case "dns":
		return c.dns()
	case "grpc":
		return c.grpc()
	case "websocket":
		return c.websocket()
	case "unix":
		return nil, c.errorf(".prober", "unix: a socket of one machine is no target; muster does not run these modules")
	}
	return nil, c.errorf(".prober", "%s: muster does not run these modules", c.module.Prober)
}

// kinds are the probes of the probers.
var kinds = map[string]string{"http": "http", "tcp": "tcp", "icmp": "ping", "dns": "dns", "grpc": "grpc", "websocket": "ws"}

func (c *compiler) finish(spec any) (action.File, error) {
	with, err := marshal(spec)
	if err != nil {
		return action.File{}, fmt.Errorf("module %s: %w", c.name, err)
	}
	f := action.File{
		Description: fmt.Sprintf("Module %s of %s.", c.name, filepath.Base(c.file.path)),
		Action:      muster.Action{Probe: kinds[c.module.Prober], With: with, Checks: c.checks},
		Plan:        &c.plan,
	}
	if _, err := probe.Decode(f.Probe, f.With); err != nil {
		return action.File{}, c.errorf("", "%w", err)
	}
	return f, nil
}

func (c *compiler) errorf(key, format string, args ...any) error {
	return c.file.doc.Errorf("modules."+c.name+key, format, args...)
}

func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// check adds a rule that every answer must meet.
func (c *compiler) check(name, format string, args ...any) {
	c.checks = append(c.checks, muster.Check{Name: name, Expect: fmt.Sprintf(format, args...)})
}

// cel adds a rule in the Common Expression Language.
func (c *compiler) cel(name, shown, text string) {
	c.checks = append(c.checks, muster.Check{Name: ruleName(name, shown), CEL: text})
}

// ruleName names a rule and its pattern, which is cut to what fits a line.
func ruleName(rule, text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	return rule + " " + text
}

// quote writes a text as a literal of expressions.
func quote[T ~string](s T) string {
	b, err := marshal(string(s))
	if err != nil { // a string always encodes
		return `""`
	}
	return string(b)
}

// literal writes a text as a template of itself.
func literal(s string) string { return strings.ReplaceAll(s, "{{", `{{"{{"}}`) }

// source sets the local address of every socket.
func (c *compiler) source(address string) { c.plan.Source = address }

// family chooses the address as the exporter does.
func (c *compiler) family(f family) {
	number, sign := 6, "startsWith"
	if f.Preferred == "ip4" {
		number, sign = 4, "not startsWith"
	}
	if f.Fallback == nil || *f.Fallback {
		c.plan.Prefer = number
		return
	}
	c.plan.Family = number
	// A literal address of the other family is no name to be resolved to this one.
	c.check("ip_protocol_fallback", `address == "" or address %s "["`, sign)
}

func (c *compiler) tls(t tlsConfig) probe.TLS {
	return probe.TLS{
		CA: absolute(t.CAFile), Cert: absolute(t.CertFile), Key: absolute(t.KeyFile), ServerName: literal(t.ServerName),
		Insecure: t.Insecure, MinVersion: string(t.Min), MaxVersion: string(t.Max),
	}
}

// absolute keeps a path what it is for a run from another folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		return abs
	}
	return path
}
