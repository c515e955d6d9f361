package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// stderrLimit bounds what is kept of standard error.
	stderrLimit = 64 << 10
	// chunkSize is what is read of standard output at once.
	chunkSize = 8 << 10
)

// sshCommand is one command as it is sent.
type sshCommand struct {
	line  string
	env   []envVar
	pty   bool
	stdin []byte
	sudo  *sudoRun // nil: as the user who is logged in

	limit    int64 // of standard output
	truncate bool
	discard  bool // standard output is only counted
}

type envVar struct {
	name, value string
	secret      bool
}

// sshEnd is how a command ended.
type sshEnd struct {
	sent      bool // the server may have got the command
	status    int
	signal    string
	message   string // that came with the signal
	sudo      error  // why sudo did not run it
	exited    bool   // with a status
	stdout    []byte
	stderr    []byte
	truncated bool
	firstByte time.Duration
}

// sshSession runs one command over one channel.
type sshSession struct {
	conn    *sshConn
	cmd     *sshCommand
	ch      ssh.Channel
	work    sync.WaitGroup // those who read and write the channel
	over    chan struct{}  // closed when the channel is
	gate    *sudoGate      // nil without sudo
	line    string         // as it is sent
	failed  error          // why the command was not taken; read it after work
	execed  time.Time
	end     sshEnd                 // read it after work
	head    atomic.Pointer[sshEnd] // what there is of a command whose output is too large; read it at any time
	abandon context.CancelCauseFunc
}

// run runs the command until it ends or ctx does, which terminates it. Without an error the command has been taken
// and its channel has closed, and the connection may be used again; otherwise it is closed.
func (c *sshConn) run(ctx context.Context, cmd *sshCommand) (*sshEnd, error) {
	ctx, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	s := &sshSession{conn: c, cmd: cmd, over: make(chan struct{}), abandon: abandon}
	if err := s.start(ctx); err != nil {
		c.Close()
		s.work.Wait()
		return &s.end, err
	}
	done := make(chan struct{})
	s.end.sent = true
	go func() {
		defer close(done)
		if s.failed = s.exec(); s.failed != nil {
			c.Conn.Close()
		} else {
			s.follow()
		}
		s.work.Wait()
		s.end.sudo = s.gate.verdict(&s.end)
	}()
	select {
	case <-done:
		if s.failed != nil {
			c.Close()
			return &s.end, s.failed
		}
		s.ch.Close()
		return &s.end, nil
	case <-ctx.Done():
		return s.terminate(done), context.Cause(ctx)
	}
}

// start opens the channel and prepares the command. The end of ctx closes the connection.
func (s *sshSession) start(ctx context.Context) (err error) {
	stop := context.AfterFunc(ctx, func() { s.conn.Conn.Close() })
	defer func() {
		if !stop() {
			err = context.Cause(ctx)
		}
	}()
	ch, reqs, err := s.conn.openSession(ctx)
	if err != nil {
		return err
	}
	s.ch = ch
	s.work.Go(func() { // at once: while nobody takes them, nothing else of the connection is read
		defer close(s.over)
		for req := range reqs {
			s.request(req)
		}
	})
	if s.cmd.sudo != nil {
		s.gate = &sudoGate{run: s.cmd.sudo, answer: ch, hangUp: ch.CloseWrite, opened: make(chan struct{})}
	}
	s.line, err = s.prepare()
	return err
}

// exec gives the command and waits until it is taken. From here on the command may run: it must be ended, not just left.
func (s *sshSession) exec() error {
	s.execed = time.Now()
	ok, err := s.ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{s.line}))
	if err == nil && !ok {
		err = errExecRefused
	}
	return err
}

// openSession opens a channel. A server that allows few at once may take a moment to see that the last one has ended.
func (c *sshConn) openSession(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		ch, reqs, err := c.OpenChannel("session", nil)
		full, ok := errors.AsType[*ssh.OpenChannelError](err)
		if err == nil || !ok || full.Reason != ssh.ConnectionFailed || !c.used || pause > time.Second {
			c.used = true
			return ch, reqs, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// follow takes what the command writes until both of its outputs end, and leaves the rest to work.
func (s *sshSession) follow() {
	stdout, stderr := io.Reader(s.ch), io.Reader(s.ch.Stderr())
	switch {
	case s.gate != nil && s.cmd.pty: // both outputs are one
		s.gate.src, stdout = stdout, s.gate
	case s.gate != nil:
		s.gate.src, stderr = stderr, s.gate
	}
	s.work.Go(func() { s.end.stderr = readHead(stderr, stderrLimit) })
	if len(s.cmd.stdin) > 0 || s.gate != nil {
		s.work.Go(s.feed)
	} else {
		s.ch.CloseWrite()
	}
	s.readBody(stdout)
}

// feed writes standard input, once sudo has had the part that is its own.
func (s *sshSession) feed() {
	if s.gate != nil {
		<-s.gate.opened
	}
	s.ch.Write(s.cmd.stdin) // a command that does not read all of it is none of our business
	s.ch.CloseWrite()
}

// readBody takes standard output up to the limit, and drops what comes after it.
func (s *sshSession) readBody(stdout io.Reader) {
	var chunk [chunkSize]byte
	var total int64
	for {
		n, err := stdout.Read(chunk[:])
		if n > 0 && s.end.firstByte == 0 {
			s.end.firstByte = time.Since(s.execed)
		}
		room := max(0, s.cmd.limit-total)
		total += int64(n)
		if !s.cmd.discard {
			s.end.stdout = append(s.end.stdout, chunk[:min(int64(n), room)]...)
		}
		if int64(n) > room && !s.end.truncated {
			s.end.truncated = true
			if !s.cmd.truncate {
				s.head.Store(&sshEnd{sent: true, stdout: s.end.stdout, truncated: true, firstByte: s.end.firstByte})
				s.abandon(errOutputTooLarge)
			}
		}
		if err != nil {
			return
		}
	}
}

// request takes what the server says of the command.
func (s *sshSession) request(req *ssh.Request) {
	switch req.Type {
	case "exit-status":
		var m struct{ Status uint32 }
		if ssh.Unmarshal(req.Payload, &m) == nil {
			s.end.status, s.end.exited = int(m.Status), true
		}
	case "exit-signal":
		var m struct {
			Signal     string
			CoreDumped bool
			Error      string
			Lang       string
		}
		if ssh.Unmarshal(req.Payload, &m) == nil {
			s.end.signal, s.end.message = m.Signal, m.Error
		}
	}
	if req.WantReply {
		req.Reply(false, nil)
	}
}

// readHead reads all of r and returns its first limit bytes.
func readHead(r io.Reader, limit int64) []byte {
	var b bytes.Buffer
	io.CopyN(&b, r, limit)
	if n, _ := io.Copy(io.Discard, r); n > 0 {
		b.WriteString("\n[the rest of standard error was cut]\n")
	}
	return b.Bytes()
}
