package sim

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// v6Key marks the keys of IPv6 endpoints, which are hashes rather than addresses.
const v6Key = 1 << 63

// endpoint is one simulated address: what a client connected to.
type endpoint struct {
	addr netip.AddrPort
	// key identifies the endpoint in the tally and seeds all its draws:
	// address<<16 | port for IPv4, a marked hash for IPv6.
	key uint64
}

func newEndpoint(ap netip.AddrPort) endpoint {
	addr := ap.Addr().Unmap()
	if addr.Is4() {
		return endpoint4(addr.As4(), ap.Port())
	}
	b := addr.As16()
	h := mix(binary.BigEndian.Uint64(b[:8])) ^ binary.BigEndian.Uint64(b[8:])
	return endpoint{
		addr: netip.AddrPortFrom(addr, ap.Port()),
		key:  v6Key | mix(h)&(1<<47-1)<<16 | uint64(ap.Port()),
	}
}

func endpoint4(ip [4]byte, port uint16) endpoint {
	return endpoint{
		addr: netip.AddrPortFrom(netip.AddrFrom4(ip), port),
		key:  uint64(binary.BigEndian.Uint32(ip[:]))<<16 | uint64(port),
	}
}

func endpointOf(a net.Addr) endpoint {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return endpoint{}
	}
	return newEndpoint(tcp.AddrPort())
}

// addrOf is the inverse of endpoint4 for the keys of IPv4 endpoints.
func addrOf(key uint64) netip.AddrPort {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], uint32(key>>16))
	return netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(key))
}
