package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// forwardRequest is the payload of direct-tcpip, RFC 4254 section 7.2.
type forwardRequest struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// forwarded is what a jump host answered to a forwardRequest.
type forwarded struct {
	ch   ssh.Channel
	reqs <-chan *ssh.Request
	err  error
}

// forward opens a connection from the jump host to where the route goes. It does not wait for the
// jump host beyond ctx.
func (p *jumpPool) forward(ctx context.Context, j *jump, route *sshRoute) (net.Conn, error) {
	answer := make(chan forwarded, 1)
	p.work.Go(func() {
		var f forwarded
		f.ch, f.reqs, f.err = j.conn.OpenChannel("direct-tcpip", ssh.Marshal(forwardRequest{
			Host: route.host, Port: uint32(route.port), OriginHost: "127.0.0.1",
		}))
		answer <- f
	})
	select {
	case f := <-answer:
		if f.err != nil {
			return nil, throughJump(f.err, route)
		}
		return p.bridge(f, j), nil
	case <-ctx.Done():
		p.work.Go(func() { // the answer comes, or the jump's connection ends
			if f := <-answer; f.err == nil {
				f.ch.Close()
				ssh.DiscardRequests(f.reqs)
			}
		})
		return nil, forwardTimeout(ctx, route)
	}
}

// forwardTimeout says why the jump host's answer was not waited for any longer.
func forwardTimeout(ctx context.Context, route *sshRoute) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return &fault{muster.FailConnectTimeout, "connect timeout", "jump host " + route.via.host + " to " + route.hostPort() + ": no answer in time", true}
}

// bridgeBuffer is the size of the buffer per direction of a forwarded connection.
const bridgeBuffer = 8 << 10

// jumpedConn is the near end of a forwarded connection. A channel can only be closed with the peer's help, which
// one that hangs does not give: the pipe in between lets go at once.
type jumpedConn struct {
	net.Conn
	ch    ssh.Channel
	close func()
}

// bridge joins a channel and a pipe. What still waits for the jump host after the pipe is closed ends
// with the channel, or with the jump's connection.
func (p *jumpPool) bridge(f forwarded, j *jump) net.Conn {
	near, far := net.Pipe()
	p.work.Go(func() { ssh.DiscardRequests(f.reqs) })
	p.work.Go(func() {
		io.CopyBuffer(far, f.ch, make([]byte, bridgeBuffer))
		far.Close()
	})
	p.work.Go(func() {
		io.CopyBuffer(f.ch, far, make([]byte, bridgeBuffer))
		f.ch.Close()
	})
	return &jumpedConn{Conn: near, ch: f.ch, close: sync.OnceFunc(func() { p.release(j) })}
}

// Close ends the connection and gives the jump back.
func (c *jumpedConn) Close() error {
	err := c.Conn.Close()
	c.close()
	return err
}
