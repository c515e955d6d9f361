//go:build !unix

package probe

import "net"

// quiet cannot look into a connection here: the exchange will find out.
func quiet(net.Conn) bool { return true }
