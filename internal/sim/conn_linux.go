package sim

import (
	"golang.org/x/sys/unix"
)

// state is what a connection waits for.
type state uint8

const (
	reading  state = iota // bytes of a request
	delayed               // the timer that starts the answer
	writing               // room to write
	dripping              // the timer of the next byte
	hanging               // the client to leave
)

// writeBurst is how many writes of filler a connection gets per event.
const writeBurst = 8

// conn is one accepted connection. Its plan's bytes are its own, unlike those
// of a plan that is sent at once.
type conn struct {
	fd         int
	state      state
	generation uint32 // tells it from all others of the loop; 0 is not in use
	events     uint32 // what epoll watches; 0 is not in the set
	ep         endpoint
	parser     parser
	plan       plan
	fillOff    int    // into plan.filler
	buf        []byte // backs plan.out
	rest       []byte // read beyond the current request
	active     int64  // when the last request began to be awaited
	sent, read uint64 // bytes not yet in the gauge
	total      uint64 // bytes sent before those
}

// welcome makes a connection of an accepted descriptor and serves what already
// arrived on it, or greets the client.
func (l *loop) welcome(ln *listener, fd int) {
	ep, ok := ln.endpoint(fd)
	if !ok {
		_ = unix.Close(fd)
		return
	}
	c := l.take(fd, ep)
	if early := l.srv.script.Load().accept(&c.ep); early != nil {
		l.start(c, early.onAcceptPlan())
		return
	}
	if c.parser.service = ln.service; ln.service != TCP {
		l.readable(c)
		return
	}
	if l.start(c, l.srv.script.Load().greet(&l.scratch, &c.ep)) {
		l.watch(c, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
}

func (l *loop) take(fd int, ep endpoint) *conn {
	var c *conn
	if n := len(l.free); n > 0 {
		c, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c = &conn{}
	}
	// Another connection's events may come under this descriptor: while a child of this process
	// has not yet executed its program, it holds what was closed here, and epoll goes on watching it.
	l.youngest++
	c.fd, c.generation, c.ep, c.state, c.active = fd, l.youngest, ep, reading, l.now
	for fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*conn, max(64, len(l.conns)))...)
	}
	l.conns[fd] = c
	l.open++
	l.srv.gauge.opened()
	l.srv.tally.opened(&c.ep)
	return c
}

// drop closes a connection and forgets it.
func (l *loop) drop(c *conn) {
	l.conns[c.fd] = nil
	l.open--
	l.srv.gauge.open.Add(-1)
	l.settle(c)
	l.srv.tally.closed(&c.ep, c.total)
	_ = unix.Close(c.fd) // the kernel releases the descriptor whatever it says
	c.parser.reset()
	c.parser.head, c.parser.rq.body = modest(c.parser.head), modest(c.parser.rq.body)
	*c = conn{parser: c.parser, buf: modest(c.buf), rest: modest(c.rest)}
	l.free = append(l.free, c)
}

// settle adds the bytes moved since the last time to the gauge.
func (l *loop) settle(c *conn) {
	l.srv.gauge.sent.Add(c.sent)
	l.srv.gauge.received.Add(c.read)
	c.total += c.sent
	c.sent, c.read = 0, 0
}

// modest keeps a buffer for reuse unless it is large.
func modest(b []byte) []byte {
	if cap(b) > 16<<10 {
		return nil
	}
	return b[:0]
}

// abort drops a connection that the client left in mid-exchange.
func (l *loop) abort(c *conn) {
	l.srv.gauge.aborted.Add(1)
	l.drop(c)
}

// watch makes epoll report exactly these events.
func (l *loop) watch(c *conn, events uint32) {
	if c.events == events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if c.events == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	c.events = events
	if l.control(op, c.fd, events, c.generation) != nil {
		l.drop(c) // out of memory or watches: nothing else would ever wake it
	}
}

func (l *loop) event(c *conn, events uint32) {
	switch c.state {
	case reading:
		l.readable(c)
	case writing:
		l.write(c)
	default: // only the client's departure is watched
		l.abort(c)
	}
}

func (l *loop) readable(c *conn) {
	n, errno := readRaw(c.fd, l.in)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		l.watch(c, unix.EPOLLIN|unix.EPOLLRDHUP)
	case errno != 0 || n == 0:
		if c.parser.started() {
			l.abort(c)
			return
		}
		l.drop(c)
	default:
		c.read += uint64(n)
		l.consume(c, l.in[:n])
	}
}

// consume feeds the parser and answers until data is used up or an answer has
// to wait.
func (l *loop) consume(c *conn, data []byte) {
	for {
		used, done, err := c.parser.feed(data)
		data = data[used:]
		if err != nil {
			l.start(c, l.srv.refuse(&l.scratch, err))
			return
		}
		if !done {
			if c.parser.expects {
				c.parser.expects = false
				l.interim(c)
			}
			l.watch(c, unix.EPOLLIN|unix.EPOLLRDHUP)
			return
		}
		p := l.srv.answer(&l.scratch, &c.ep, &c.parser)
		c.parser.reset()
		c.rest = append(c.rest[:0], data...)
		if !l.start(c, p) {
			return
		}
		if len(c.rest) == 0 {
			l.watch(c, unix.EPOLLIN|unix.EPOLLRDHUP)
			return
		}
	}
}

// interim tells a client that waits for it to send its body.
func (l *loop) interim(c *conn) {
	n, _ := writeRaw(c.fd, []byte(continueLine)) // a full buffer is as good as a lost line
	c.sent += uint64(max(0, n))
}

// start begins a plan and reports whether it is over and the connection reads on.
func (l *loop) start(c *conn, p plan) bool {
	c.plan, c.fillOff = p, 0
	if p.delay > 0 || p.pace > 0 {
		c.buf = append(c.buf[:0], p.out...)
		c.plan.out = c.buf
	}
	if p.delay > 0 {
		c.state = delayed
		l.timers.push(timer{at: l.now + int64(p.delay), conn: c, generation: c.generation})
		l.watch(c, unix.EPOLLRDHUP)
		return false
	}
	return l.proceed(c)
}

// proceed runs a plan whose delay is over.
func (l *loop) proceed(c *conn) bool {
	if c.plan.pace > 0 {
		c.state = dripping
		l.watch(c, unix.EPOLLRDHUP)
		return c.state == dripping && l.drip(c)
	}
	return l.send(c)
}

// due is called when the timer of a connection is.
func (l *loop) due(c *conn) {
	over := false
	switch c.state {
	case delayed:
		over = l.proceed(c)
	case dripping:
		over = l.drip(c)
	}
	if over {
		l.next(c)
	}
}

// next goes on to the request that arrived behind the one just answered.
func (l *loop) next(c *conn) {
	if len(c.rest) > 0 {
		l.consume(c, append([]byte{}, c.rest...))
		return
	}
	l.watch(c, unix.EPOLLIN|unix.EPOLLRDHUP)
}

// drip sends one byte and sets the timer for the next.
func (l *loop) drip(c *conn) bool {
	if len(c.plan.out) == 0 {
		c.plan.pace = 0
		return l.send(c)
	}
	n, errno := writeRaw(c.fd, c.plan.out[:1])
	if errno != 0 && errno != unix.EAGAIN {
		l.abort(c)
		return false
	}
	n = max(n, 0)
	c.sent += uint64(n)
	c.plan.out = c.plan.out[n:]
	l.timers.push(timer{at: l.now + int64(c.plan.pace), conn: c, generation: c.generation})
	return false
}

// write goes on with a plan that waited for room.
func (l *loop) write(c *conn) {
	if l.send(c) {
		l.next(c)
	}
}

// send writes the plan's bytes and filler as far as they go, and ends the plan
// after the last. It reports whether the connection reads on.
func (l *loop) send(c *conn) bool {
	for range writeBurst {
		chunk := c.chunk()
		if len(chunk) == 0 {
			return l.finish(c)
		}
		n, errno := writeRaw(c.fd, chunk)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			break
		}
		if errno != 0 {
			l.abort(c)
			return false
		}
		c.wrote(n)
	}
	if c.state != writing && len(c.plan.out) > 0 {
		c.buf = append(c.buf[:0], c.plan.out...)
		c.plan.out = c.buf
	}
	c.state = writing
	l.watch(c, unix.EPOLLOUT)
	return false
}

// chunk is what to write next; empty is the end of the plan.
func (c *conn) chunk() []byte {
	if len(c.plan.out) > 0 {
		return c.plan.out
	}
	if c.plan.fill == 0 {
		return nil
	}
	b := c.plan.filler[c.fillOff:]
	if c.plan.fill > 0 {
		b = b[:min(int64(len(b)), c.plan.fill)]
	}
	return b
}

func (c *conn) wrote(n int) {
	c.sent += uint64(n)
	if len(c.plan.out) > 0 {
		c.plan.out = c.plan.out[n:]
		return
	}
	c.fillOff = (c.fillOff + n) % len(c.plan.filler)
	if c.plan.fill > 0 {
		c.plan.fill -= int64(n)
	}
}

// finish ends a plan and reports whether the connection reads on.
func (l *loop) finish(c *conn) bool {
	switch c.plan.end {
	case endKeep:
		c.state, c.active = reading, l.now
		c.plan = plan{}
		l.settle(c)
		return true
	case endHang:
		c.state = hanging
		l.watch(c, unix.EPOLLRDHUP)
		return false
	case endRST:
		resetOnClose(c.fd)
	}
	l.drop(c)
	return false
}
