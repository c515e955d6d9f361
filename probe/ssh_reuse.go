package probe

import (
	"sync"

	"github.com/musterhq/muster/dial"
)

// sshIdle keeps connections for further targets on the same server: the rows of one list, many commands to one host. The
// zero value keeps none; it is safe for concurrent use.
type sshIdle struct {
	on   bool
	work *sync.WaitGroup // of the login
	stop func()          // of the registration with the dialer

	mu     sync.Mutex
	conns  map[string][]*sshConn
	closed bool
}

// take returns a kept connection of the route; nil when there is none that is alive.
func (i *sshIdle) take(route *sshRoute) *sshConn {
	if !i.on {
		return nil
	}
	key := route.key()
	i.mu.Lock()
	defer i.mu.Unlock()
	for list := i.conns[key]; len(list) > 0; list = i.conns[key] {
		c := list[len(list)-1]
		i.conns[key] = list[:len(list)-1]
		if c.alive() {
			return c
		}
	}
	return nil
}

// put keeps a connection, or closes it where none are kept. crowded says that somebody waits for its descriptor.
func (i *sshIdle) put(route *sshRoute, c *sshConn, crowded bool) {
	if !i.keep(route, c, crowded) {
		c.Close()
	}
}

func (i *sshIdle) keep(route *sshRoute, c *sshConn, crowded bool) bool {
	if !i.on || crowded || c.left || !c.alive() {
		return false
	}
	key := route.key()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	if i.conns == nil {
		i.conns = map[string][]*sshConn{}
	}
	i.conns[key] = append(i.conns[key], c)
	return true
}

// spare closes one of them, for whoever wants its descriptor, and reports whether there was one.
func (i *sshIdle) spare() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, list := range i.conns {
		if n := len(list); n > 0 {
			i.conns[key] = list[:n-1]
			i.work.Go(func() { list[n-1].Close() }) // it waits for the connection's end, which the caller must not
			return true
		}
	}
	return false
}

// start begins to keep connections, as long as nobody is short of descriptors.
func (i *sshIdle) start(d *dial.Dialer, work *sync.WaitGroup) {
	i.on, i.work = true, work
	i.stop = d.Reclaim(i.spare)
}

// close closes all of them.
func (i *sshIdle) close() {
	if !i.on {
		return
	}
	i.stop()
	i.mu.Lock()
	i.closed = true
	conns := i.conns
	i.conns = nil
	i.mu.Unlock()
	for _, list := range conns {
		for _, c := range list {
			c.Close()
		}
	}
}
