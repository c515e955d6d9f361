package dial

import (
	"context"
	"net"
)

// Unix connects to a socket of this machine by its path: an agent that holds keys. Neither the target
// policy nor the budget has a say in it.
func Unix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
