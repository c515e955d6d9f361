package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

const (
	// jumpLinger is how long a connection to a jump host that nobody uses is kept.
	jumpLinger = 5 * time.Second
	// jumpPause is how long a jump host that could not be reached is left alone.
	jumpPause = time.Second
)

// jumpPool shares connections to jump hosts: one for all targets behind it.
type jumpPool struct {
	login *sshLogin

	work sync.WaitGroup // everything that is under way

	mu     sync.Mutex
	jumps  map[string]*jump
	closed bool
}

// jump is one shared connection. Its fields are guarded by the pool's mu; ready is closed once conn and err
// are final.
type jump struct {
	key   string
	ready chan struct{}
	conn  *sshConn
	err   error
	users int
	timer *time.Timer // ends the connection, or forgets the error
	stop  context.CancelFunc
}

// openVia asks the jump host of a route for a connection.
func (s *sshLogin) openVia(ctx context.Context, route *sshRoute, r *muster.Result) (net.Conn, error) {
	if route.addr.IsValid() {
		if denied := s.env.Dialer.Check(route.addr); denied != nil {
			return nil, denied
		}
		r.Address = netip.AddrPortFrom(route.addr, route.port)
	}
	began := time.Now()
	defer func() { r.Timings.Connect = time.Since(began) }()
	j, err := s.jumps.acquire(ctx, route.via)
	if err != nil {
		return nil, err
	}
	cctx, stop := context.WithTimeout(ctx, s.env.ConnectTimeout)
	defer stop()
	c, err := s.jumps.forward(cctx, j, route)
	if err != nil {
		s.jumps.release(j)
		return nil, err
	}
	return c, nil
}

// acquire returns the connection to the jump host, which one of those who ask makes.
func (p *jumpPool) acquire(ctx context.Context, route *sshRoute) (*jump, error) {
	key := route.key()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, context.Canceled
	}
	j := p.jumps[key]
	if j == nil || j.dead() {
		j = p.begin(key, route)
	}
	j.users++
	if j.timer != nil && j.err == nil {
		j.timer.Stop()
	}
	p.mu.Unlock()
	select {
	case <-j.ready:
	case <-ctx.Done():
		p.release(j)
		return nil, context.Cause(ctx)
	}
	if j.err != nil {
		p.release(j)
		return nil, viaJump(j.err, route)
	}
	return j, nil
}

// dead reports whether the connection has ended by itself.
func (j *jump) dead() bool {
	select {
	case <-j.ready:
		return j.err == nil && !j.conn.alive()
	default:
		return false
	}
}

// begin starts to connect, for everybody: no user's own end stops it.
func (p *jumpPool) begin(key string, route *sshRoute) *jump {
	if p.jumps == nil {
		p.jumps = map[string]*jump{}
	}
	ctx, stop := context.WithCancel(context.Background())
	j := &jump{key: key, ready: make(chan struct{}), stop: stop}
	p.jumps[key] = j
	p.work.Go(func() {
		var r muster.Result
		conn, err := p.login.connect(ctx, route, &r)
		p.mu.Lock()
		defer p.mu.Unlock()
		j.conn, j.err = conn, err
		close(j.ready)
		if err != nil {
			j.timer = time.AfterFunc(jumpPause, func() { p.forget(j) })
		}
	})
	return j
}

// forget lets the next one who asks connect anew. A refused login stays: asking again for every target
// could lock the account.
func (p *jumpPool) forget(j *jump) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := errors.AsType[*fault](j.err)
	if p.jumps[j.key] == j && !(ok && f.failure == muster.FailAuth) {
		delete(p.jumps, j.key)
	}
}

// release takes one user off; the last one leaves the connection to the timer.
func (p *jumpPool) release(j *jump) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j.users--
	if j.users > 0 || j.err != nil || j.conn == nil || p.closed {
		return
	}
	if j.timer == nil {
		j.timer = time.AfterFunc(jumpLinger, func() { p.expire(j) })
		return
	}
	j.timer.Reset(jumpLinger)
}

// expire ends a connection that is still not used.
func (p *jumpPool) expire(j *jump) {
	p.mu.Lock()
	if j.users > 0 || p.closed {
		p.mu.Unlock()
		return
	}
	if p.jumps[j.key] == j {
		delete(p.jumps, j.key)
	}
	p.mu.Unlock()
	j.stop()
	j.conn.Close()
}

// close ends all connections, and waits for those that are being made.
func (p *jumpPool) close() error {
	p.mu.Lock()
	p.closed = true
	all := make([]*jump, 0, len(p.jumps))
	for _, j := range p.jumps {
		all = append(all, j)
	}
	clear(p.jumps)
	p.mu.Unlock()
	for _, j := range all {
		j.stop()
		<-j.ready
		if j.conn != nil {
			j.conn.Close()
		}
	}
	p.work.Wait()
	return nil
}
