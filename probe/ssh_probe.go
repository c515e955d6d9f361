package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

// Faults of commands.
var (
	errExecRefused    = &fault{failure: muster.FailProtocol, reason: "command refused", detail: "the server does not run commands"}
	errOutputTooLarge = &fault{failure: muster.FailTooLarge, reason: "output too large", detail: "standard output exceeds the limit (body_limit raises it, truncate cuts)"}
)

// maxStdinFile bounds standard input: it is held in memory, once for all targets.
const maxStdinFile = 64 << 20

// sshProber is a compiled [SSH].
type sshProber struct {
	env     Env
	spec    SSH
	login   *sshLogin
	command *vars.Template // or a script's arguments; nil: raw
	raw     string
	vars    []sshVar
	stdin   []byte
	script  *sshScript // nil: a command
	sudo    string     // user; "" is no sudo
	overdue error      // the end of an attempt that takes too long
	sudoPW  muster.Secret
}

type sshVar struct {
	name  string
	value *vars.Template
}

func compileSSH(s SSH, env Env) (*sshProber, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if env.Timeout == 0 {
		env.Timeout = DefaultSSHTimeout
	}
	p := &sshProber{env: env.withDefaults(false), spec: s}
	c := compiler{parser: vars.Parser{Secret: env.Secret}}
	p.overdue = &fault{muster.FailTimeout, "timeout", "no end within " + p.env.Timeout.String() + ": a command under way was terminated", true}
	p.login = c.sshLogin(s.SSHLogin, p.env)
	p.raw = s.Command
	if s.Script != "" {
		p.raw = s.Args
		p.script = newSSHScript(c.readFile("script", s.Script, maxScript))
	}
	if !s.Raw {
		p.command = c.parseCommand(p.raw)
	}
	p.sudo, p.sudoPW = s.Sudo.User, c.secret("sudo password", s.Sudo.Password)
	if p.sudo == "" && s.Sudo.Password != "" {
		p.sudo = "root"
	}
	for _, e := range s.Env {
		p.vars = append(p.vars, sshVar{e.Name, c.parse("env "+e.Name, e.Value)})
	}
	if s.Stdin != "" {
		p.stdin = c.readFile("stdin", s.Stdin, maxStdinFile)
	}
	if err := errors.Join(c.errs...); err != nil {
		p.login.Close()
		return nil, err
	}
	return p, nil
}

// parseCommand parses a command as a template. Those of other programs look alike.
func (c *compiler) parseCommand(text string) *vars.Template {
	t, err := c.parser.Parse("command", text)
	if err != nil {
		err = fmt.Errorf("%w (raw sends {{ as it is)", err)
	}
	c.add(err)
	if err == nil && t.Secret() {
		c.add(muster.Errorf(muster.KindInvalid, "command: everybody on the target can read the arguments of a command; hand a secret over by env, in a variable that the server accepts (AcceptEnv)"))
	}
	return t
}

// readFile reads a file that goes to every target.
func (c *compiler) readFile(name, path string, limit int64) []byte {
	info, err := os.Stat(path)
	if err == nil && info.Size() > limit {
		err = fmt.Errorf("larger than %d MiB", limit>>20)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		c.add(muster.Errorf(muster.KindInvalid, "%s %s: %w", name, path, err))
	}
	return b
}

// Close ends the connections to jump hosts and agents.
func (p *sshProber) Close() error { return p.login.Close() }

// Check reports why t would end invalid; nil when it would be sent.
func (p *sshProber) Check(t *muster.Target) error {
	if _, d := p.login.route(context.Background(), t); d != nil {
		return d.err
	}
	if _, d := p.build(t); d != nil {
		return d.err
	}
	return nil
}

// build expands the command for t.
func (p *sshProber) build(t *muster.Target) (*sshCommand, *defect) {
	cmd := &sshCommand{
		pty: p.spec.PTY, stdin: p.stdin, discard: p.env.DiscardBody,
		limit: cmp.Or(p.spec.BodyLimit, DefaultBodyLimit), truncate: p.spec.Truncate,
	}
	var err error
	if cmd.line = p.raw; p.command != nil {
		if cmd.line, err = p.command.Expand(t); err != nil {
			return nil, expansionDefect(fmt.Errorf("%w (raw sends {{ as it is)", err))
		}
	}
	cmd.sudo = p.sudoRun()
	for _, v := range p.vars {
		value, err := v.value.Expand(t)
		if err == nil && strings.Contains(value, "\x00") {
			err = muster.Errorf(muster.KindInvalid, "env %s: it holds a NUL byte", v.name)
		}
		if err != nil {
			return nil, expansionDefect(err)
		}
		cmd.env = append(cmd.env, envVar{v.name, value, v.value.Secret()})
	}
	return cmd, nil
}

// Probe runs the command on t.
func (p *sshProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	p.probe(ctx, &t, &r)
	r.Timings.Total = time.Since(r.Started)
	return r
}

func (p *sshProber) probe(ctx context.Context, t *muster.Target, r *muster.Result) {
	cmd, d := p.build(t)
	if d != nil {
		d.result(r)
		return
	}
	actx, stop := context.WithTimeoutCause(ctx, p.env.Timeout, p.overdue)
	defer stop()
	route, d := p.login.route(actx, t)
	if d != nil {
		d.result(r)
		return
	}
	if c := p.login.idle.take(route); c != nil {
		r.Address = c.addr
		if p.runOn(ctx, actx, c, cmd, r, route) || r.Sent || actx.Err() != nil {
			return
		}
		*r = muster.Result{Started: r.Started} // the server had given the connection up
		if cmd, d = p.build(t); d != nil {
			d.result(r)
			return
		}
	}
	c, err := p.login.connect(actx, route, r)
	if err != nil {
		p.failed(ctx, r, err)
		return
	}
	p.runOn(ctx, actx, c, cmd, r, route)
}

// runOn runs the command over c, which is kept or closed. It reports whether the connection served.
func (p *sshProber) runOn(ctx, actx context.Context, c *sshConn, cmd *sshCommand, r *muster.Result, route *sshRoute) bool {
	if p.script != nil && !p.upload(ctx, actx, c, cmd, r) {
		c.Close()
		return false
	}
	end, err := c.run(actx, cmd)
	p.ended(ctx, r, end, err)
	if err != nil {
		c.Close()
		return false
	}
	p.login.idle.put(route, c, p.env.Dialer.Crowded())
	return true
}

// upload stores the script and makes cmd what runs it. When it is not ok, r says why.
func (p *sshProber) upload(ctx, actx context.Context, c *sshConn, cmd *sshCommand, r *muster.Result) bool {
	up := p.script.upload()
	up.sudo = p.sudoRun()
	for _, v := range cmd.env {
		if v.name == "TMPDIR" { // says where
			up.env = append(up.env, v)
		}
	}
	end, err := c.run(actx, up)
	var path string
	if err == nil {
		path, err = uploadedPath(end)
	}
	if path == "" || err != nil {
		p.ended(ctx, r, end, err)
		if r.Outcome == muster.Unexpected {
			r.Reason = "script not stored"
		}
		r.Body = nil
		return false
	}
	cmd.line = p.script.line(path, cmd.line)
	return true
}

// sudoRun returns how one command becomes another user's; nil when it does not.
func (p *sshProber) sudoRun() *sudoRun {
	if p.sudo == "" {
		return nil
	}
	return newSudoRun(p.sudo, p.sudoPW)
}

// failed makes r the end of an attempt that ctx or err stopped.
func (p *sshProber) failed(ctx context.Context, r *muster.Result, err error) {
	f, ok := errors.AsType[*fault](err)
	if ok && f.failure == muster.FailTimeout { // the engine may give up while the command is being ended
		fail(r, err)
		return
	}
	if !cancel(ctx, r) {
		failIn(r, err, dial.PhaseExchange)
	}
}

// ended makes r what became of the command.
func (p *sshProber) ended(ctx context.Context, r *muster.Result, e *sshEnd, err error) {
	r.Sent = e.sent
	r.Timings.FirstByte = e.firstByte
	r.Body, r.Truncated = e.stdout, e.truncated
	r.Fields = append(r.Fields, muster.Field{Name: "stderr", Value: strings.ToValidUTF8(string(e.stderr), "\uFFFD")})
	switch err = cmp.Or(err, e.sudo); {
	case err != nil:
		p.failed(ctx, r, err)
	case e.exited:
		r.Code, r.Status, r.Outcome = e.status, exitStatus(e.status), muster.OK
		if e.status != 0 {
			r.Outcome, r.Reason, r.Detail = muster.Unexpected, r.Status, lastLine(e.stderr)
		}
	case e.signal != "":
		r.Fields = append(r.Fields, muster.Field{Name: "signal", Value: e.signal})
		failIn(r, &fault{failure: muster.FailExit, reason: "signal " + e.signal, detail: e.message}, dial.PhaseExchange)
	default:
		failIn(r, &fault{failure: muster.FailExit, reason: "no exit status", detail: "the connection or its channel ended before the command's exit status came"}, dial.PhaseExchange)
	}
}

// Preview returns what would be run on t, and how it would be reached, secrets redacted.
func (p *sshProber) Preview(t *muster.Target) (string, error) {
	route, d := p.login.route(context.Background(), t)
	if d == nil {
		_, d = p.build(t)
	}
	if d != nil {
		return "", d.err
	}
	line := p.raw
	if p.command != nil {
		var err error
		if line, err = p.command.Redacted(t); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	b.WriteString("ssh " + route.user + "@" + route.hostPort())
	if route.via != nil {
		b.WriteString(" via " + route.via.name())
	}
	b.WriteByte('\n')
	for _, v := range p.vars {
		value, err := v.value.Redacted(t)
		if err != nil {
			return "", err
		}
		b.WriteString(v.name + "=" + value + "\n")
	}
	if p.sudo != "" {
		b.WriteString("sudo -u " + p.sudo + " ")
	}
	if p.script != nil {
		b.WriteString(p.spec.Script + " ")
	}
	b.WriteString(line + "\n")
	return b.String(), nil
}
