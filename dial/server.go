package dial

import (
	"context"
	"fmt"
	"net"
)

// dialServer returns how queries reach a name server: the given one, or with "" the one that
// resolv.conf names. Package net does not look at ctx while it waits for an answer, so that a
// canceled lookup would hold its socket for seconds: here the end of ctx closes it.
func dialServer(server string) func(ctx context.Context, network, address string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(server); err != nil && server != "" {
		server = net.JoinHostPort(server, "53")
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if server != "" {
			address = server
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		switch c := c.(type) {
		case *net.UDPConn: // the method set tells package net how to frame the query
			return &udpQuery{c, stop}, nil
		case *net.TCPConn:
			return &tcpQuery{c, stop}, nil
		}
		stop()
		c.Close()
		return nil, fmt.Errorf("name server %s: network %s is neither UDP nor TCP", address, network)
	}
}

// udpQuery and tcpQuery are sockets of one query that stop watching its context when closed.
type udpQuery struct {
	*net.UDPConn
	stop func() bool
}

// Close closes the socket.
func (q *udpQuery) Close() error {
	q.stop()
	return q.UDPConn.Close()
}

type tcpQuery struct {
	*net.TCPConn
	stop func() bool
}

// Close closes the socket.
func (q *tcpQuery) Close() error {
	q.stop()
	return q.TCPConn.Close()
}
