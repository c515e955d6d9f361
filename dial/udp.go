package dial

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/musterhq/muster"
)

// DialUDP returns a UDP socket that is connected to one address, from the dialer's source: it takes
// datagrams from there alone, and an ICMP refusal comes back from its next call as an error that
// [Classify] calls refused. Nothing is sent. The policy is held against ap; ctx bounds the wait for a
// descriptor, as in Dial.
//
// The socket must be closed, which gives its descriptor back to the budget. The error is an [*Error].
func (d *Dialer) DialUDP(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	return d.open(ctx, ap, connectUDP)
}

// udpConn is a socket of package net that gives its descriptor back to the budget.
type udpConn struct {
	*net.UDPConn
	budget *Budget
	closed atomic.Bool
}

// Close closes the socket and gives its descriptor back to the budget.
func (c *udpConn) Close() error {
	err := c.UDPConn.Close()
	if !c.closed.Swap(true) {
		c.budget.Release()
	}
	return err
}

// ListenUDP returns a UDP socket of the family (4 or 6) that is connected to nobody, to be shared by many targets: what
// [Dialer.OpenPacket] is to event loops, for goroutines. It is bound to the dialer's source.
//
// Nothing checks where it sends to: the caller holds the policy against each destination, as Resolve does. The
// socket must be closed, which gives its descriptor back to the budget. It never waits. The error is an [*Error].
func (d *Dialer) ListenUDP(family int) (net.PacketConn, error) {
	network, local := "udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(d.Source, 0))
	if family == 6 {
		network = "udp6"
	}
	if !d.Source.IsValid() {
		local = nil
	} else if d.Source.Is4() != (family == 4) {
		return nil, sourceError(d.Source, syscall.EAFNOSUPPORT)
	}
	s := d.state()
	if !s.budget.TryAcquire() {
		return nil, failed(muster.FailLocal, ReasonDescriptors, true, nil)
	}
	c, err := net.ListenUDP(network, local)
	if err != nil {
		e := Classify(err, PhaseConnect)
		s.settle(e)
		return nil, e
	}
	c.SetReadBuffer(sharedBuffer) // as much of it as the system grants
	return &udpConn{UDPConn: c, budget: s.budget}, nil
}

// sharedBuffer is the receive buffer that a socket of ListenUDP asks for.
const sharedBuffer = 4 << 20

// metItself is how many sockets in a row may be found to be connected to themselves.
const metItself = 8

func connectUDP(_ context.Context, ap netip.AddrPort, source netip.Addr, b *Budget) (net.Conn, error) {
	if _, err := ZoneIndex(ap.Addr()); err != nil {
		return nil, err
	}
	var local *net.UDPAddr
	if source.IsValid() {
		if source.Is4() != ap.Addr().Is4() {
			return nil, sourceError(source, syscall.EAFNOSUPPORT)
		}
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	for range metItself {
		c, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(ap))
		if err != nil {
			return nil, err
		}
		// An address of this machine and a port of the ephemeral range may be our own end.
		if c.LocalAddr().(*net.UDPAddr).AddrPort() != ap {
			return &udpConn{UDPConn: c, budget: b}, nil
		}
		c.Close()
	}
	return nil, failed(muster.FailLocal, ReasonPorts, true, nil)
}
