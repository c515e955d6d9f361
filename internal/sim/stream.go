package sim

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

// handshakeLimit ends TLS handshakes that do not come to an end.
const handshakeLimit = 10 * time.Second

// errGone is the end of a connection that the client left in mid-exchange.
var errGone = errors.New("client left")

// stream serves one listener with a goroutine per connection: the engine for
// TLS, SSH and gRPC, and for systems without an event loop.
type stream struct {
	srv   *Server
	ln    *net.TCPListener
	guard bool // refuse what was not sent to a loopback address
	// speak serves a connection to its end; errGone is the only error that counts.
	speak func(context.Context, *session) error
}

func (s *Server) openStream(ctx context.Context, o opening, speak func(context.Context, *session) error) error {
	ln, guard, err := listenTCP(ctx, o)
	if err != nil {
		return err
	}
	st := &stream{srv: s, ln: ln, guard: guard, speak: speak}
	s.engine = append(s.engine, st)
	s.served = append(s.served, served{o.service, st.addr()})
	return nil
}

// listenTCP binds a listener; guarded is one that other machines may not reach.
func listenTCP(ctx context.Context, o opening) (ln *net.TCPListener, guarded bool, err error) {
	b, err := parseListen(o.addr)
	if err != nil {
		return nil, false, err
	}
	lc := net.ListenConfig{}
	if b.loopback {
		lc.Control = loopbackControl
	}
	network := "tcp4"
	if b.addr.Addr().Is6() {
		network = "tcp6"
	}
	l, err := lc.Listen(ctx, network, b.addr.String())
	if err != nil {
		return nil, false, fmt.Errorf("listen on %s (%s): %w", o.addr, o.service, err)
	}
	return l.(*net.TCPListener), b.loopback, nil
}

// reachable is the address under which a listener answers: a wildcard one does
// so on the loopback address.
func reachable(bound netip.AddrPort) netip.AddrPort {
	addr := bound.Addr().Unmap()
	if addr.IsUnspecified() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if bound.Addr().Is6() {
			addr = netip.IPv6Loopback()
		}
	}
	return netip.AddrPortFrom(addr, bound.Port())
}

func (st *stream) addr() netip.AddrPort { return reachable(st.ln.Addr().(*net.TCPAddr).AddrPort()) }

func (st *stream) close() { _ = st.ln.Close() }

func (st *stream) cpu() (time.Duration, bool) { return 0, false }

// run accepts until ctx ends; shortage of descriptors only makes it rest.
func (st *stream) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, st.close)()
	for {
		c, err := st.ln.AcceptTCP()
		switch {
		case err == nil:
			wg.Go(func() { st.serve(ctx, c) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", st.ln.Addr(), err)
		default:
			st.srv.gauge.pauses.Add(1)
			wait(ctx, 10*time.Millisecond)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// session is one connection of a stream.
type session struct {
	srv     *Server
	raw     *net.TCPConn
	conn    net.Conn // raw, or TLS over it
	ep      endpoint
	parser  parser
	scratch scratch
	in      []byte
	rest    []byte // read and not yet consumed; aliases in
	sent    uint64
}

func (st *stream) serve(ctx context.Context, raw *net.TCPConn) {
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	c := &session{srv: st.srv, raw: raw, conn: raw, ep: endpointOf(raw.LocalAddr())}
	if st.guard && !c.ep.addr.Addr().IsLoopback() {
		_ = raw.Close()
		return
	}
	c.srv.gauge.opened()
	c.srv.tally.opened(&c.ep)
	defer func() {
		c.srv.gauge.open.Add(-1)
		c.srv.tally.closed(&c.ep, c.sent)
	}()
	err := c.begin(ctx, st.speak)
	if errors.Is(err, errGone) {
		c.srv.gauge.aborted.Add(1)
	}
	_ = raw.Close() // it may be closed already, in its own way
}

// begin serves the connection, unless its address does not even listen.
func (c *session) begin(ctx context.Context, speak func(context.Context, *session) error) error {
	if early := c.srv.script.Load().accept(&c.ep); early != nil {
		_, err := c.perform(early.onAcceptPlan())
		return err
	}
	return speak(ctx, c)
}

// secure begins the connection, which is raw or wraps it, with a TLS handshake, or spoils it.
func (c *session) secure(conn net.Conn, config *tls.Config) error {
	if b := c.srv.script.Load().choose(&c.ep, nil); b.Where == "handshake" {
		b.served.Add(1)
		if _, err := c.raw.Read(make([]byte, 1)); err != nil {
			return errGone
		}
		_, err := c.end(b.ending())
		return cmp.Or(err, io.EOF)
	}
	t := tls.Server(conn, config)
	_ = c.raw.SetDeadline(time.Now().Add(handshakeLimit))
	if t.Handshake() != nil {
		return errGone
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.conn = t
	return nil
}

// converse serves HTTP, over TLS if there is a configuration, or lines of text.
func (c *session) converse(config *tls.Config) error {
	c.in = make([]byte, 16<<10)
	if config != nil {
		if err := c.secure(c.raw, config); err != nil {
			return err
		}
	}
	if c.parser.service == TCP {
		if goesOn, err := c.perform(c.srv.script.Load().greet(&c.scratch, &c.ep)); !goesOn {
			return err
		}
	}
	for {
		p, err := c.receive()
		if err != nil {
			return err
		}
		if goesOn, err := c.perform(p); !goesOn {
			return err
		}
	}
}

// receive reads one request and plans its answer.
func (c *session) receive() (plan, error) {
	for {
		if len(c.rest) == 0 {
			_ = c.conn.SetReadDeadline(time.Now().Add(c.srv.fleet.idle()))
			n, err := c.conn.Read(c.in)
			c.srv.gauge.received.Add(uint64(n))
			if n == 0 && err != nil {
				if c.parser.started() {
					return plan{}, errGone
				}
				return plan{}, err
			}
			c.rest = c.in[:n]
		}
		used, done, err := c.parser.feed(c.rest)
		c.rest = c.rest[used:]
		if err != nil {
			return c.srv.refuse(&c.scratch, err), nil
		}
		if done {
			p := c.srv.answer(&c.scratch, &c.ep, &c.parser)
			c.parser.reset()
			return p, nil
		}
		if c.parser.expects {
			c.parser.expects = false
			if err := c.write([]byte(continueLine)); err != nil {
				return plan{}, err
			}
		}
	}
}

// perform carries out a plan and reports whether the connection goes on.
func (c *session) perform(p plan) (bool, error) {
	if err := c.pause(p.delay); err != nil {
		return false, err
	}
	for p.pace > 0 && len(p.out) > 0 {
		if err := c.write(p.out[:1]); err != nil {
			return false, err
		}
		p.out = p.out[1:]
		if err := c.pause(p.pace); err != nil {
			return false, err
		}
	}
	if err := c.write(p.out); err != nil {
		return false, err
	}
	for p.fill != 0 {
		b := p.filler
		if p.fill > 0 {
			b = b[:min(int64(len(b)), p.fill)]
			p.fill -= int64(len(b))
		}
		if err := c.write(b); err != nil {
			return false, err
		}
	}
	return c.end(p.end)
}

func (c *session) end(e ending) (bool, error) {
	switch e {
	case endKeep:
		return true, nil
	case endHang:
		return false, c.pause(maxLatency)
	case endRST:
		_ = c.raw.SetLinger(0)
		_ = c.raw.Close()
	default:
		_ = c.conn.Close()
	}
	return false, nil
}

func (c *session) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := c.conn.Write(b)
	c.sent += uint64(n)
	c.srv.gauge.sent.Add(uint64(n))
	if err != nil {
		return errGone
	}
	return nil
}

// pause waits; it ends early with errGone when the client leaves. Bytes that
// arrive meanwhile are kept for the next request.
func (c *session) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	deadline := time.Now().Add(d)
	_ = c.conn.SetReadDeadline(deadline)
	for {
		buf := make([]byte, 512)
		n, err := c.conn.Read(buf)
		c.srv.gauge.received.Add(uint64(n))
		c.rest = append(append([]byte{}, c.rest...), buf[:n]...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil, len(c.rest) > maxHead:
			return errGone
		}
	}
}
