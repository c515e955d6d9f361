//go:build !linux

package sim

import (
	"context"
	"syscall"
)

// openPlain serves plain HTTP with a goroutine per connection, since the event
// loop needs epoll.
func (s *Server) openPlain(ctx context.Context, addrs []string) error {
	for _, addr := range addrs {
		st, err := s.openStream(ctx, addr, nil)
		if err != nil {
			return err
		}
		s.engine = append(s.engine, st)
		s.addrs = append(s.addrs, st.addr())
	}
	return nil
}

// loopbackControl leaves it to the guard of each connection to keep other
// machines out.
func loopbackControl(_, _ string, _ syscall.RawConn) error { return nil }
