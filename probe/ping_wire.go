package probe

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

const (
	icmpHeader  = 8
	ipv4Header  = 20 // the least
	ipv6Header  = 40
	icmp6Number = 58
)

// icmpWire are the ICMP sockets of one event loop.
type icmpWire struct {
	p     *pingProber
	ident uint16
	raw4  bool // the IPv4 socket is a raw one: the IP header comes along, and errors of others
	raw6  bool
}

var _ packetWire = (*icmpWire)(nil)

func (p *pingProber) wire() packetWire { return &icmpWire{p: p, ident: uint16(rand.Uint32())} }

func (w *icmpWire) room() int { return icmpHeader }

func (w *icmpWire) raw(family int) bool { return family == 4 && w.raw4 || family == 6 && w.raw6 }

// seal writes the header of an echo request. The kernel computes the checksum of ICMPv6, and sets the identifier of
// a socket that is not raw.
func (w *icmpWire) seal(b []byte, family int, key uint16) {
	b[0] = icmpEcho
	if family == 6 {
		b[0] = icmp6Echo
	}
	b[1], b[2], b[3] = 0, 0, 0
	binary.BigEndian.PutUint16(b[4:], w.ident)
	binary.BigEndian.PutUint16(b[6:], key)
	if family == 4 {
		binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	}
}

// internetChecksum is the ones' complement of the ones' complement sum of 16-bit words (RFC 1071).
func internetChecksum(b []byte) uint16 {
	var sum uint64
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// read takes replies to our requests, and the errors about them that a raw socket receives.
func (w *icmpWire) read(a *arrival, family int) bool {
	a.peer = netip.AddrPortFrom(a.peer.Addr(), 0)
	if family == 4 && w.raw4 {
		n, ok := ipv4Length(a.data)
		if !ok {
			return false
		}
		a.ttl, a.data = int(a.data[8]), a.data[n:]
	}
	if len(a.data) < icmpHeader {
		return false
	}
	if kind := a.data[0]; family == 4 && kind == icmpEchoReply || family == 6 && kind == icmp6EchoReply {
		a.key = binary.BigEndian.Uint16(a.data[6:])
		mine := !w.raw(family) || binary.BigEndian.Uint16(a.data[4:]) == w.ident
		a.data = a.data[icmpHeader:]
		return mine
	}
	if a.err = icmpFault(family, a.data[0], a.data[1]); a.err == nil || !w.raw(family) {
		return false
	}
	return w.readError(a, family)
}

// ipv4Length returns the length of the IPv4 header at the start of b.
func ipv4Length(b []byte) (int, bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return 0, false
	}
	n := int(b[0]&0xf) * 4
	return n, n >= ipv4Header && len(b) >= n
}

// readError finds the request that an ICMP error quotes, behind the IP header of which it bears the address.
func (w *icmpWire) readError(a *arrival, family int) bool {
	quoted := a.data[icmpHeader:]
	if family == 4 {
		n, ok := ipv4Length(quoted)
		if !ok || quoted[9] != 1 { // the protocol
			return false
		}
		a.peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte(quoted[16:20])), 0)
		quoted = quoted[n:]
	} else {
		if len(quoted) < ipv6Header || quoted[6] != icmp6Number {
			return false
		}
		a.peer = netip.AddrPortFrom(netip.AddrFrom16([16]byte(quoted[24:40])), 0)
		quoted = quoted[ipv6Header:]
	}
	if len(quoted) < icmpHeader || quoted[0] != icmpEcho && quoted[0] != icmp6Echo || binary.BigEndian.Uint16(quoted[4:]) != w.ident {
		return false
	}
	a.key, a.data = binary.BigEndian.Uint16(quoted[6:]), nil
	return true
}

// readQuote takes the request itself, as the error queue of a socket that is not raw returns it.
func (w *icmpWire) readQuote(a *arrival, _ int) {
	a.peer = netip.AddrPortFrom(a.peer.Addr(), 0)
	if a.bare = len(a.data) < icmpHeader; !a.bare {
		a.key = binary.BigEndian.Uint16(a.data[6:])
	}
}
