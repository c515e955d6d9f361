package probe

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

const (
	// maxIdle bounds the idle connections to one server: the default cap of attempts per host.
	maxIdle = muster.DefaultPerHost
	// maxIdleAll bounds all of them, as does half of the descriptors there are.
	maxIdleAll = 1024
	// idleFor is how long an idle connection is worth reviving: less than the shortest keep-alive
	// bound of the common servers (Apache: 5 s).
	idleFor = 4 * time.Second
)

// connKey says which exchanges a connection can serve.
type connKey struct {
	addr       netip.AddrPort
	https      bool
	serverName string
}

// key returns the key of the exchange; the server name is the expanded one, else the host.
func (x *exchange) key(ap netip.AddrPort, t *muster.Target) (connKey, *defect) {
	k := connKey{addr: ap, https: x.req.https}
	if !k.https {
		return k, nil
	}
	name, d := x.p.serverName(&x.req, t)
	k.serverName = name
	return k, d
}

func (p *httpProber) serverName(q *request, t *muster.Target) (string, *defect) {
	if p.sni == nil {
		if q.addr.IsValid() {
			return q.addr.WithZone("").String(), nil
		}
		return q.host, nil
	}
	name, err := p.sni.Expand(t)
	if err != nil {
		return "", expansionDefect(err)
	}
	if err := checkHost(name); err != nil {
		return "", &defect{"invalid tls server name", err}
	}
	return name, nil
}

// keptConn is a connection that may serve several exchanges, one after the other.
type keptConn struct {
	net.Conn          // what is spoken on: raw or TLS over it
	raw      net.Conn // the socket
	key      connKey
	reused   bool
	since    time.Time // idle since
}

// idlePool holds the idle connections of attempts on goroutines, and counts those of event loops too. A nil pool is
// empty and stays so.
type idlePool struct {
	limit  int32
	dialer *dial.Dialer
	stop   func() // no more asked to give back descriptors
	n      atomic.Int32
	mu     sync.Mutex
	byKey  map[connKey][]*keptConn // the most recently used last
	closed bool
}

func newIdlePool(limit int, d *dial.Dialer) *idlePool {
	ip := &idlePool{byKey: map[connKey][]*keptConn{}, limit: int32(limit), dialer: d}
	ip.stop = d.Reclaim(ip.spare)
	return ip
}

// spare closes one idle connection, if there is one, for a fresh one that needs its descriptor.
func (ip *idlePool) spare() bool {
	ip.mu.Lock()
	var c *keptConn
	for k := range ip.byKey {
		c = ip.pop(k)
		break
	}
	ip.mu.Unlock()
	if c == nil {
		return false
	}
	c.raw.Close()
	return true
}

// claim counts one more idle connection, if it may be.
func (ip *idlePool) claim() bool {
	if ip == nil || ip.dialer.Crowded() {
		return false
	}
	if ip.n.Add(1) <= ip.limit {
		return true
	}
	ip.n.Add(-1)
	return false
}

// unclaim counts one less.
func (ip *idlePool) unclaim() { ip.n.Add(-1) }

// idleLimit returns how many idle connections p may hold: fresh ones must never wait for their descriptors.
func idleLimit(p *httpProber) int {
	if !p.env.ReuseHint {
		return 0
	}
	n, _ := p.env.Dialer.Headroom(0)
	return min(maxIdleAll, n/2)
}

// take returns an idle connection that still seems to be alive, or nil.
func (ip *idlePool) take(k connKey) *keptConn {
	if ip == nil {
		return nil
	}
	for {
		ip.mu.Lock()
		c := ip.pop(k)
		ip.mu.Unlock()
		if c == nil {
			return nil
		}
		if time.Since(c.since) < idleFor && quiet(c.raw) {
			c.reused = true
			return c
		}
		c.raw.Close()
	}
}

// pop takes out the connection of k that was used last. The lock is held.
func (ip *idlePool) pop(k connKey) *keptConn {
	cs := ip.byKey[k]
	if len(cs) == 0 {
		return nil
	}
	c := cs[len(cs)-1]
	cs[len(cs)-1] = nil
	ip.unclaim()
	if len(cs) == 1 {
		delete(ip.byKey, k)
	} else {
		ip.byKey[k] = cs[:len(cs)-1]
	}
	return c
}

// put keeps c, or closes it when there is no place.
func (ip *idlePool) put(c *keptConn) {
	c.since = time.Now()
	ip.mu.Lock()
	keep := !ip.closed && len(ip.byKey[c.key]) < maxIdle && ip.claim()
	if keep {
		ip.byKey[c.key] = append(ip.byKey[c.key], c)
	}
	ip.mu.Unlock()
	if !keep {
		c.raw.Close()
	} else if ip.dialer.Crowded() { // since it was kept
		ip.spare()
	}
}

func (ip *idlePool) close() {
	ip.stop()
	ip.mu.Lock()
	defer ip.mu.Unlock()
	ip.closed = true
	for _, cs := range ip.byKey {
		for _, c := range cs {
			c.raw.Close()
			ip.unclaim()
		}
	}
	ip.byKey = nil
}
