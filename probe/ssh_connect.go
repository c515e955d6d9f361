package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// sshVersion is how muster introduces itself.
const sshVersion = "SSH-2.0-muster"

// sshConn is a connection that is logged in. Close it.
type sshConn struct {
	ssh.Conn
	addr netip.AddrPort  // zero behind a jump host that resolved the name
	used bool            // a session has been opened over it
	work *sync.WaitGroup // of the login: what goes on behind attempts
	left bool            // the connection is closed behind the attempt
	// killLimit bounds how long it then stays open for what ends the command.
	killLimit time.Duration
	served    chan struct{} // closed when the connection is over and nothing serves it any more
}

// connect logs in where the route says. It fills in r's address and timings. The error is a *fault
// or a *[dial.Error]; it is context.Canceled or wraps a deadline when ctx ended.
func (s *sshLogin) connect(ctx context.Context, route *sshRoute, r *muster.Result) (*sshConn, error) {
	raw, err := s.open(ctx, route, r)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := s.handshake(ctx, raw, route)
	r.Timings.TLS = time.Since(began)
	if err != nil {
		return nil, err
	}
	c.addr = r.Address
	return c, nil
}

// open makes the connection that the handshake goes over.
func (s *sshLogin) open(ctx context.Context, route *sshRoute, r *muster.Result) (net.Conn, error) {
	if route.via != nil {
		return s.openVia(ctx, route, r)
	}
	cctx, stop := context.WithTimeout(ctx, s.env.ConnectTimeout)
	defer stop()
	began := time.Now()
	ap, err := s.env.Dialer.Resolve(cctx, route.host, route.addr, route.port)
	r.Timings.Resolve = time.Since(began)
	r.Address = ap
	if err != nil {
		return nil, dial.Classify(err, dial.PhaseResolve)
	}
	began = time.Now()
	raw, err := s.env.Dialer.Dial(cctx, ap)
	r.Timings.Connect = time.Since(began)
	if err != nil {
		return nil, dial.Classify(err, dial.PhaseConnect)
	}
	return raw, nil
}

// handshake exchanges keys and logs in over raw, which it closes when that does not work.
func (s *sshLogin) handshake(ctx context.Context, raw net.Conn, route *sshRoute) (*sshConn, error) {
	limit := s.handshakeTimeout()
	hctx, stop := context.WithTimeoutCause(ctx, limit, errHandshakeTimeout(limit))
	defer stop()
	unwatch := context.AfterFunc(hctx, func() { raw.Close() })
	defer unwatch()
	var trust error
	met := false // the server spoke SSH, whatever it said before
	greeted := &sshGreeting{Conn: raw}
	conn, chans, reqs, err := ssh.NewClientConn(greeted, route.host, &ssh.ClientConfig{
		User: route.user, Auth: route.auth.methods, ClientVersion: sshVersion,
		HostKeyAlgorithms: s.preference.For(route.verifier, route.keyName, route.keyPort),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			met = true
			trust = route.verifier.Verify(route.keyName, route.keyPort, key)
			return trust
		},
	})
	if !unwatch() && err == nil {
		conn.Close()
		err = context.Cause(hctx)
	}
	if err == nil {
		c := &sshConn{Conn: conn, work: &s.work, killLimit: s.killLimit, served: make(chan struct{})}
		go c.serve(chans, reqs)
		return c, nil
	}
	if f := greeted.fault(); f != nil && !met {
		return nil, f
	}
	if trust == nil && hctx.Err() != nil {
		return nil, context.Cause(hctx)
	}
	return nil, sshFault(err, trust, route)
}

// serve refuses what the server asks for by itself until the connection is over.
func (c *sshConn) serve(chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
	defer close(c.served)
	for chans != nil || reqs != nil {
		select {
		case ch, ok := <-chans:
			if !ok {
				chans = nil
				continue
			}
			ch.Reject(ssh.Prohibited, "clients take no channels")
		case req, ok := <-reqs:
			if !ok {
				reqs = nil
				continue
			}
			if req.WantReply { // keep-alives of the server
				req.Reply(false, nil)
			}
		}
	}
}

// Close ends the connection and waits until nothing of it is left, unless a command that is still being ended
// keeps it for a moment.
func (c *sshConn) Close() error {
	if c.left {
		return nil
	}
	return c.close()
}

func (c *sshConn) close() error {
	err := c.Conn.Close()
	<-c.served
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// alive reports whether the connection has not ended.
func (c *sshConn) alive() bool {
	select {
	case <-c.served:
		return false
	default:
		return true
	}
}
