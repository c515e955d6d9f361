package sim

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// site is a listener that every event loop has a socket of.
type site struct {
	opening
	binding
}

// openLoops makes the event loops and binds the listeners that they serve.
func (s *Server) openLoops(ctx context.Context) error {
	var sites []site
	for _, o := range s.fleet.openingsOf(HTTP, TCP, UDP, DNS) {
		b, err := parseListen(o.addr)
		if err != nil {
			return err
		}
		st := site{o, b}
		if err := st.checkFree(ctx); err != nil {
			return st.failed(err)
		}
		sites = append(sites, st)
	}
	if len(sites) == 0 {
		return nil
	}
	for range s.fleet.loops() {
		l, err := newLoop(s)
		if err != nil {
			return err
		}
		s.engine = append(s.engine, l)
		for i := range sites {
			if err := l.bind(&sites[i]); err != nil {
				return sites[i].failed(err)
			}
		}
	}
	for _, st := range sites {
		s.served = append(s.served, served{st.service, reachable(st.binding.addr)})
	}
	return nil
}

func (st *site) failed(err error) error {
	return fmt.Errorf("listen on %s (%s): %w", st.opening.addr, st.service, err)
}

// bind gives a site a socket of the loop. A free port is the same for every loop.
func (l *loop) bind(st *site) error {
	switch st.service {
	case UDP:
		return l.bindSocket(st)
	case DNS:
		return l.bindBoth(st)
	}
	ln, err := listenRaw(st.binding)
	if err != nil {
		return err
	}
	ln.service = st.service
	st.binding.addr = ln.bound
	return l.add(ln)
}

// bindBoth binds a port for TCP and UDP. One that is free for TCP may be taken for
// UDP, so if any will do it tries some.
func (l *loop) bindBoth(st *site) error {
	asked := st.binding.addr
	for try := 1; ; try++ {
		ln, err := listenRaw(st.binding)
		if err != nil {
			return err
		}
		ln.service = st.service
		st.binding.addr = ln.bound
		if err = l.bindSocket(st); err == nil {
			return l.add(ln)
		}
		st.binding.addr = asked
		if err = errors.Join(err, unix.Close(ln.fd)); asked.Port() != 0 || try == maxTries {
			return err
		}
	}
}

const maxTries = 10

// checkFree fails when somebody listens on a port already. The loops share theirs with SO_REUSEPORT,
// which would let two fleets share one, and each count half of what arrives.
func (st *site) checkFree(ctx context.Context) error {
	if st.binding.addr.Port() == 0 {
		return nil
	}
	lc := net.ListenConfig{}
	if st.loopback {
		lc.Control = loopbackControl
	}
	if st.service == UDP || st.service == DNS {
		c, err := lc.ListenPacket(ctx, "udp", st.binding.addr.String())
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil || st.service == UDP {
			return err
		}
	}
	c, err := lc.Listen(ctx, "tcp", st.binding.addr.String())
	if err != nil {
		return err
	}
	return c.Close()
}
