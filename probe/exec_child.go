package probe

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is a running command with its pipes. Whoever started it calls reap, once.
type child struct {
	cmd   *exec.Cmd
	pipes pipes
	// over is closed when the command has exited and nobody holds its output any more.
	over chan struct{}
	// overflow gets a value when there is more output than the limit.
	overflow chan struct{}
	truncate bool
	out, err capture // written until over is closed
}

// attend moves what is read and written, and notices the end.
func (c *child) attend(stdin []byte) {
	var wg sync.WaitGroup
	if in := c.pipes.ours[0]; in != nil {
		wg.Go(func() {
			in.Write(stdin) // a command that does not read on is no failure
			in.Close()
		})
	}
	wg.Go(func() { c.read(c.pipes.ours[1], &c.out) })
	wg.Go(func() { c.read(c.pipes.ours[2], &c.err) })
	wg.Go(func() {
		c.await()
		if in := c.pipes.ours[0]; in != nil {
			in.Close() // a process that it left behind may hold the other end
		}
	})
	go func() {
		wg.Wait()
		close(c.over)
	}()
}

// read reads until the end of file: also what the limit cuts off, so that the command is not stopped by a full pipe.
func (c *child) read(f *os.File, to *capture) {
	var buf [smallBuffer]byte
	for {
		n, err := f.Read(buf[:])
		if n > 0 && !to.add(buf[:n]) && !c.truncate {
			select {
			case c.overflow <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// end has the whole process group terminated, then killed, and waits until that is done. The group's
// leader has not been reaped, so that its number belongs to nobody else.
func (c *child) end() {
	c.signal(syscall.SIGTERM)
	if c.within(killGrace) {
		c.signal(syscall.SIGKILL) // what ignored the first and closed its output
		return
	}
	c.signal(syscall.SIGKILL)
	if !c.within(killGrace / 5) {
		c.pipes.closeOurs() // held by a process that has left the group
	}
}

func (c *child) within(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.over:
		return true
	case <-t.C:
		return false
	}
}

// reap waits for the end of the command and returns its state.
func (c *child) reap() (*os.ProcessState, error) {
	<-c.over
	c.pipes.closeOurs()
	var err error
	if c.cmd.ProcessState == nil { // else await has reaped
		err = c.cmd.Wait()
	}
	if c.cmd.ProcessState != nil {
		err = nil // a status that is not 0 is an error to package exec alone
	}
	return c.cmd.ProcessState, err
}

// capture keeps the beginning of a stream.
type capture struct {
	limit int64
	buf   []byte
	cut   bool
	first time.Time // when its first byte came
}

// add takes b, and reports false when the stream is over its limit.
func (c *capture) add(b []byte) bool {
	if c.first.IsZero() {
		c.first = time.Now()
	}
	if room := c.limit - int64(len(c.buf)); int64(len(b)) > room {
		b, c.cut = b[:room], true
	}
	c.buf = append(c.buf, b...)
	return !c.cut
}

// pipes are the three streams of a command, its ends and ours. Standard input may be none.
type pipes struct{ ours, theirs [3]*os.File }

func openPipes(stdin bool) (p pipes, err error) {
	for i := range p.ours {
		if i == 0 && !stdin {
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			p.closeOurs()
			p.closeTheirs()
			return p, err
		}
		p.ours[i], p.theirs[i] = r, w
		if i == 0 {
			p.ours[i], p.theirs[i] = w, r
		}
	}
	return p, nil
}

func (p *pipes) closeOurs()   { closeFiles(p.ours) }
func (p *pipes) closeTheirs() { closeFiles(p.theirs) }

func closeFiles(files [3]*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close() // a second time is harmless
		}
	}
}
