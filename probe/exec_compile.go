package probe

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// shellPath is the shell that POSIX promises.
const shellPath = "/bin/sh"

// execProber is a compiled [Exec]. It is immutable.
type execProber struct {
	env   Env
	spec  Exec
	limit int64

	path  string // of the program; "" when it depends on the target
	args  []*vars.Template
	vars  []envTemplate
	base  []string // the environment that every command inherits
	dir   *vars.Template
	stdin *vars.Template
	file  []byte // what a StdinFile holds
	port  *vars.Template
}

type envTemplate struct {
	name  string
	value *vars.Template
}

// command is what one target's run needs.
type command struct {
	path, dir string
	args, env []string
	stdin     []byte
}

func compileExec(e Exec, env Env) (*execProber, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	env.Timeout = cmp.Or(env.Timeout, DefaultCommandTimeout)
	p := &execProber{env: env.withDefaults(false), spec: e, limit: cmp.Or(e.BodyLimit, DefaultBodyLimit), base: inherited(os.Environ())}
	c := execCompiler{p: p, parser: vars.Parser{Secret: env.Secret}}
	c.command()
	for _, v := range e.Env {
		p.vars = append(p.vars, envTemplate{v.Name, c.parse("env "+v.Name, v.Value)})
	}
	p.dir, p.stdin, p.port = c.parse("dir", e.Dir), c.parse("stdin", e.Stdin), c.parse("port", e.Port)
	c.files()
	return p, errors.Join(c.errs...)
}

// inherited returns the environment without what an outer muster has set for its own target.
func inherited(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "MUSTER_TARGET", "MUSTER_HOST", "MUSTER_PORT", "MUSTER_ADDRESS":
			return true
		}
		return strings.HasPrefix(name, "MUSTER_LABEL_") || strings.HasPrefix(name, "MUSTER_VAR_")
	})
}

// execCompiler collects the errors of a compilation.
type execCompiler struct {
	p      *execProber
	parser vars.Parser
	errs   problems
}

func (c *execCompiler) parse(name, text string) *vars.Template {
	t, err := c.parser.Parse(name, text)
	c.errs.add(err)
	if err != nil {
		return new(vars.Template)
	}
	return t
}

func (c *execCompiler) command() {
	words := c.p.spec.Command
	if c.p.spec.Shell {
		words = []string{shellPath, "-c", strings.Join(words, " ")}
	}
	for i, word := range words {
		t := c.parse("command, word "+strconv.Itoa(i+1), word)
		c.errs.addIf(t.Secret(), "command, word %d: everybody on this machine can read the arguments of a command; hand a secret over by env or stdin", i+1)
		c.p.args = append(c.p.args, t)
	}
	if name, ok := c.p.args[0].Static(); ok {
		path, err := exec.LookPath(name)
		c.p.path = path
		c.errs.addIf(err != nil, "command %s: %w", name, lookupError(err))
	}
}

// lookupError returns the cause without the name, which the message around it holds.
func lookupError(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

func (c *execCompiler) files() {
	if dir, ok := c.p.dir.Static(); ok && dir != "" {
		info, err := os.Stat(dir)
		c.errs.addIf(err != nil, "dir: %w", err)
		c.errs.addIf(err == nil && !info.IsDir(), "dir %s: want a directory", dir)
	}
	if path := c.p.spec.StdinFile; path != "" {
		var err error
		c.p.file, err = os.ReadFile(path)
		c.errs.addIf(err != nil, "stdin_file: %w", err)
	}
}

// build returns the command for t. With redact it is the one to be shown.
func (p *execProber) build(t *muster.Target, redact bool) (*command, *defect) {
	var failed error
	expand := func(tpl *vars.Template) string {
		text, err := tpl.Expand(t)
		if redact {
			text, err = tpl.Redacted(t)
		}
		if failed == nil {
			failed = err
		}
		return text
	}
	c := &command{path: p.path, dir: expand(p.dir), stdin: p.file}
	for _, a := range p.args {
		c.args = append(c.args, expand(a))
	}
	if p.spec.Stdin != "" {
		c.stdin = []byte(expand(p.stdin))
	}
	port := expand(p.port)
	for _, v := range p.vars {
		c.env = append(c.env, v.name+"="+expand(v.value))
	}
	if failed != nil {
		return nil, expansionDefect(failed)
	}
	if d := c.locate(t, port); d != nil {
		return nil, d
	}
	return c, c.check()
}

// locate puts the target into the environment, before what the spec sets there.
func (c *command) locate(t *muster.Target, port string) *defect {
	if t.Port != 0 {
		port = strconv.Itoa(int(t.Port))
	} else if port != "" {
		if _, err := parsePort(port); err != nil {
			return &defect{"invalid port", err}
		}
	}
	address := t.Host
	if port != "" {
		address = net.JoinHostPort(t.Host, port)
	}
	env := []string{"MUSTER_TARGET=" + t.ID, "MUSTER_HOST=" + t.Host, "MUSTER_PORT=" + port, "MUSTER_ADDRESS=" + address}
	env = appendVars(env, "MUSTER_LABEL_", t.Labels)
	env = appendVars(env, "MUSTER_VAR_", t.Vars)
	c.env = append(env, c.env...)
	return nil
}

func appendVars(env []string, prefix string, values map[string]string) []string {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, prefix+envName(name)+"="+values[name])
	}
	return env
}

// envName replaces what a shell does not take in the name of a variable.
func envName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			return r
		}
		return '_'
	}, s)
}

// check finds what the kernel would refuse, and looks a program up that depends on the target.
func (c *command) check() *defect {
	for _, words := range [][]string{c.args, c.env} {
		for _, w := range words {
			if strings.Contains(w, "\x00") {
				name, _, _ := strings.Cut(w, "=")
				return &defect{"invalid argument", muster.Errorf(muster.KindInvalid, "%.60q: a NUL byte cannot be handed to a command", name)}
			}
		}
	}
	if c.path != "" {
		return nil
	}
	path, err := exec.LookPath(c.args[0])
	if err != nil {
		return &defect{"no such command", muster.Errorf(muster.KindInvalid, "command %q: %w", c.args[0], lookupError(err))}
	}
	c.path = path
	return nil
}

// Check reports why t would end invalid.
func (p *execProber) Check(t *muster.Target) error {
	if _, d := p.build(t, false); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the command as a shell would take it, with what it gets beside its arguments.
func (p *execProber) Preview(t *muster.Target) (string, error) {
	c, d := p.build(t, true)
	if d != nil {
		return "", d.err
	}
	var b strings.Builder
	for _, v := range c.env {
		name, value, _ := strings.Cut(v, "=")
		b.WriteString(name + "=" + shellWord(value) + "\n")
	}
	if c.dir != "" {
		b.WriteString("cd " + shellWord(c.dir) + "\n")
	}
	for i, a := range c.args {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(shellWord(a))
	}
	if len(c.stdin) > 0 {
		b.WriteString("\n# standard input\n" + string(c.stdin))
	}
	return b.String() + "\n", nil
}

// shellWord quotes a word where a shell would take it for more.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// killGrace is how long a process group has to terminate before it is killed.
const killGrace = 500 * time.Millisecond
