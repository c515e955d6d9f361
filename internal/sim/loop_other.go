//go:build !linux

package sim

import (
	"context"
	"errors"
	"syscall"
)

// openLoops serves plain HTTP and TCP with a goroutine per connection, since the
// event loop needs epoll.
func (s *Server) openLoops(ctx context.Context) error {
	if len(s.fleet.openingsOf(UDP, DNS)) > 0 {
		return errors.New("the UDP and DNS services of a simulated fleet need Linux")
	}
	for _, o := range s.fleet.openingsOf(HTTP, TCP) {
		speak := func(_ context.Context, c *session) error {
			c.parser.service = o.service
			return c.converse(nil)
		}
		if err := s.openStream(ctx, o, speak); err != nil {
			return err
		}
	}
	return nil
}

// loopbackControl leaves it to the guard of each connection to keep other
// machines out.
func loopbackControl(_, _ string, _ syscall.RawConn) error { return nil }
