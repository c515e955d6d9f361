package probe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// exitTempFail is sysexits.h's EX_TEMPFAIL: the command itself says that it may go better next time.
const exitTempFail = 75

// Probe runs the command for t.
func (p *execProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	switch c, d := p.build(&t, false); {
	case d != nil:
		d.result(&r)
	case !p.allowed(&t, &r):
	default:
		p.run(ctx, c, &r)
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// allowed holds the target policy against an address that the target itself names: what the command makes of
// a name is out of its reach.
func (p *execProber) allowed(t *muster.Target, r *muster.Result) bool {
	if !t.Addr.IsValid() {
		return true
	}
	e := p.env.Dialer.Check(t.Addr)
	if e != nil {
		fail(r, e)
	}
	return e == nil
}

// run starts the command and waits for its end, which ctx, the timeout or too much output may hasten.
func (p *execProber) run(ctx context.Context, c *command, r *muster.Result) {
	if cancel(ctx, r) {
		return
	}
	timeout := time.NewTimer(p.env.Timeout)
	defer timeout.Stop()
	child, err := p.start(c)
	if err != nil {
		failStart(r, err)
		return
	}
	r.Sent = true
	select {
	case <-child.over:
	case <-timeout.C:
		child.end()
		failIn(r, context.DeadlineExceeded, dial.PhaseExchange)
		r.Detail = "the command ran longer than " + p.env.Timeout.String()
	case <-child.overflow:
		child.end()
		fail(r, errOutput)
	case <-ctx.Done():
		child.end()
		cancel(ctx, r)
	}
	state, err := child.reap()
	p.report(r, child)
	switch {
	case r.Outcome != 0:
	case err != nil:
		fail(r, err)
	default:
		p.judge(r, child, state)
	}
}

var errOutput = &fault{muster.FailTooLarge, "output too large", "the command wrote more than the limit (body_limit raises it, truncate cuts)", false}

// report takes over what the command wrote, however it ended.
func (p *execProber) report(r *muster.Result, c *child) {
	if c.out.first.After(r.Started) {
		r.Timings.FirstByte = c.out.first.Sub(r.Started)
	}
	r.Truncated = c.out.cut || c.err.cut
	if p.spec.Nagios {
		r.Fields = nagiosFields(c.out.buf)
	}
	r.Fields = append(r.Fields, muster.Field{Name: "stderr", Value: string(c.err.buf)})
	if !p.env.DiscardBody {
		r.Body = c.out.buf
	}
}

// judge makes r the end that the command came to by itself.
func (p *execProber) judge(r *muster.Result, c *child, state *os.ProcessState) {
	ws, _ := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		r.Outcome, r.Failure = muster.Failed, muster.FailExit
		r.Reason = "signal " + signalName(ws.Signal())
		return
	}
	r.Code = state.ExitCode()
	r.Status = exitStatus(r.Code)
	r.Outcome = muster.OK
	if p.spec.Nagios && r.Code >= 0 && r.Code < len(nagiosStates) {
		r.Status = nagiosStates[r.Code]
	}
	if r.Code != 0 {
		r.Outcome, r.Reason, r.Detail = muster.Unexpected, r.Status, lastLine(c.err.buf)
		r.Transient = r.Code == exitTempFail
	}
}

// exitStatus is the status of a command that ended by itself.
func exitStatus(code int) string { return "exit " + strconv.Itoa(code) }

// lastLine is where a command that gives up says why.
func lastLine(text []byte) string {
	s := strings.TrimRight(string(text), " \t\r\n")
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// failStart makes r the end of a command that never ran.
func failStart(r *muster.Result, err error) {
	f := &fault{muster.FailLocal, "cannot start", err.Error(), false}
	no, _ := errors.AsType[syscall.Errno](err)
	switch no {
	case syscall.E2BIG:
		(&defect{"arguments too long", err}).result(r)
		return
	case syscall.EMFILE, syscall.ENFILE:
		f.reason, f.transient = dial.ReasonDescriptors, true
	case syscall.ENOMEM:
		f.reason, f.transient = dial.ReasonMemory, true
	case syscall.EAGAIN:
		f.reason, f.transient = "processes", true
	}
	fail(r, f)
}

// start runs the command in a process group of its own, which is also a session: without a terminal a question for a
// password fails, where it would stop the command for ever.
func (p *execProber) start(c *command) (*child, error) {
	pipes, err := openPipes(len(c.stdin) > 0)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: c.path, Args: c.args, Env: append(p.base[:len(p.base):len(p.base)], c.env...), Dir: c.dir,
		Stdout: pipes.theirs[1], Stderr: pipes.theirs[2], SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if pipes.theirs[0] != nil {
		cmd.Stdin = pipes.theirs[0]
	}
	err = cmd.Start()
	pipes.closeTheirs()
	if err != nil {
		pipes.closeOurs()
		return nil, err
	}
	ch := &child{
		cmd: cmd, pipes: pipes, over: make(chan struct{}), overflow: make(chan struct{}, 2),
		out: capture{limit: p.limit}, err: capture{limit: p.limit}, truncate: p.spec.Truncate,
	}
	ch.attend(c.stdin)
	return ch, nil
}
