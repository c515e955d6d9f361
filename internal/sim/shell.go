package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// shell is one session channel of an SSH connection: environment, then a command.
type shell struct {
	service *sshService
	session *session
	channel ssh.Channel
	env     []string
}

// signalled is the end of a command by a signal.
type signalled string

func (s signalled) Error() string { return "signal " + string(s) }

var errLost = errors.New("channel closed without a status")

// serve answers requests and runs at most one command, until the client closes the channel.
func (sh *shell) serve(ctx context.Context, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	running := false
	for rq := range requests {
		var run func(context.Context)
		switch rq.Type {
		case "env":
			sh.setenv(rq.Payload)
		case "pty-req", "window-change":
		case "signal":
			cancel(signalled(text(rq.Payload)))
		case "exec", "shell":
			run = func(ctx context.Context) { sh.run(ctx, text(rq.Payload)) }
		case "subsystem":
			if text(rq.Payload) == "sftp" {
				run = sh.transfer
			}
		}
		known := run != nil || rq.Type == "env" || rq.Type == "pty-req" || rq.Type == "signal" || rq.Type == "window-change"
		if rq.WantReply {
			_ = rq.Reply(known && !(running && run != nil), nil) // fails when the client is gone, as the loop sees
		}
		if run != nil && !running {
			running = true
			go func() {
				defer close(done)
				run(ctx)
			}()
		}
	}
	cancel(io.EOF)
	_ = sh.channel.Close()
	if running {
		<-done
	}
}

// text is the first string of a payload.
func text(payload []byte) string {
	if len(payload) < 4 {
		return ""
	}
	n := binary.BigEndian.Uint32(payload)
	return string(payload[4:min(4+uint64(n), uint64(len(payload)))])
}

func (sh *shell) setenv(payload []byte) {
	name := text(payload)
	if rest := 4 + len(name); rest <= len(payload) {
		sh.env = append(sh.env, name+"="+text(payload[rest:]))
	}
}

// run executes a command under the behaviour of the address and ends the channel.
func (sh *shell) run(ctx context.Context, command string) {
	c, v := sh.session, sh.service
	v.srv.gauge.requests.Add(1)
	n := v.srv.tally.request(&c.ep)
	sc := v.srv.script.Load()
	b := sc.choose(&c.ep, nil)
	b.served.Add(1)
	wait(ctx, sc.delay(&b.Behaviour, &c.ep))
	a := answering{script: sc, b: &b.Behaviour, instance: instance{seed: sc.seed, ep: c.ep, n: n}}
	status := uint32(0)
	defer context.AfterFunc(ctx, func() { sh.end(0, context.Cause(ctx)) })() // also while it writes or reads
	err := context.Cause(ctx)
	if err == nil {
		status, err = sh.behave(ctx, &a, command)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		_ = sh.channel.CloseWrite() // fails when the client is gone
	}
	sh.end(status, err)
	if b.Kind == Once || sc.once {
		_ = c.raw.Close()
	}
}

// end tells how the command ended and closes the channel. What cannot be told is told to nobody.
func (sh *shell) end(status uint32, err error) {
	var sig signalled
	switch {
	case errors.As(err, &sig):
		_, _ = sh.channel.SendRequest("exit-signal", false, ssh.Marshal(exitSignal{Signal: string(sig)}))
	case err == nil:
		_, _ = sh.channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
	}
	_ = sh.channel.Close()
}

// exitSignal is the payload of the request of that name (RFC 4254, 6.10).
type exitSignal struct {
	Signal  string
	Core    bool
	Message string
	Lang    string
}

// behave runs the command as the behaviour has it.
func (sh *shell) behave(ctx context.Context, a *answering, command string) (uint32, error) {
	switch a.b.Kind {
	case Reset, Hang, HangBody, CloseBefore, CloseEarly:
		return 0, sh.breakOff(ctx, a, command)
	case Endless:
		return 0, sh.repeat(ctx, fillerBody, -1)
	case Oversized:
		return 0, sh.repeat(ctx, fillerBody, a.b.Size)
	}
	status, err := sh.execute(ctx, a, command)
	if code, fails := a.fails(); fails && err == nil {
		status = uint32(code)
		if code > 255 {
			status = 1 // it is a status of another service
		}
	}
	return status, err
}

// breakOff ends the command, or the connection, or neither, before it is over.
func (sh *shell) breakOff(ctx context.Context, a *answering, command string) error {
	if a.b.Kind == HangBody || a.b.Kind == CloseEarly || a.b.Where == "body" {
		out := instantOutput(a, command)
		if _, err := sh.channel.Write(out[:len(out)/2]); err != nil {
			return err
		}
	}
	switch a.b.Kind {
	case Hang, HangBody:
		<-ctx.Done()
		return context.Cause(ctx)
	case Reset:
		_ = sh.session.raw.SetLinger(0)
		_ = sh.session.raw.Close()
	case CloseBefore:
		_ = sh.session.raw.Close()
	}
	return errLost
}

// repeat writes filler until size bytes are out, for ever if negative.
func (sh *shell) repeat(ctx context.Context, filler []byte, size int64) error {
	for size != 0 && ctx.Err() == nil {
		b := filler
		if size > 0 {
			b = b[:min(int64(len(b)), size)]
			size -= int64(len(b))
		}
		if _, err := sh.channel.Write(b); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// print writes output, in two pieces or byte by byte if the behaviour says so.
func (sh *shell) print(ctx context.Context, w io.Writer, a *answering, out []byte) error {
	piece, pace := len(out), time.Duration(0)
	switch a.b.Kind {
	case Drip:
		piece, pace = 1, a.b.Interval
	case Chunked:
		piece = (len(out) + 1) / 2
	}
	for len(out) > 0 {
		n := min(piece, len(out))
		if _, err := w.Write(out[:n]); err != nil {
			return err
		}
		out = out[n:]
		if pace > 0 {
			wait(ctx, pace)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// instantOutput is what a command prints that takes no time and no input.
func instantOutput(a *answering, command string) []byte {
	name, args, _ := strings.Cut(strings.TrimSpace(command), " ")
	switch name {
	case "true", "false", "exit", "cat", "sleep", "yes":
		return nil
	case "echo":
		return []byte(args + "\n")
	case "hostname":
		return append(appendHostname(nil, a.ep), '\n')
	}
	return []byte(a.ep.addr.Addr().String() + ": " + command + "\n")
}
