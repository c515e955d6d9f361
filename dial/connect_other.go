//go:build !linux

package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// conn is a connection of package net that gives its descriptor back to the budget.
type conn struct {
	*net.TCPConn
	budget *Budget
	closed atomic.Bool
}

// Close closes the connection and gives its descriptor back to the budget.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	if !c.closed.Swap(true) {
		c.budget.Release()
	}
	return err
}

// connect opens a connection whose Close releases b.
func connect(ctx context.Context, ap netip.AddrPort, source netip.Addr, b *Budget) (*conn, error) {
	if _, err := ZoneIndex(ap.Addr()); err != nil {
		return nil, err
	}
	d := net.Dialer{KeepAlive: -1}
	c, err := d.DialTCP(ctx, "tcp", netip.AddrPortFrom(source, 0), ap)
	if err != nil {
		if source.IsValid() && errors.Is(err, syscall.EADDRNOTAVAIL) {
			return nil, sourceError(source, err)
		}
		return nil, err
	}
	return &conn{TCPConn: c, budget: b}, nil
}
