package sim

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuse tells a client by ICMP that nobody listens on the port of an address. It
// needs the right to open a raw socket; without it, and over IPv6, there is silence.
func (p *packets) refuse(peer unix.RawSockaddrInet6, ep *endpoint) {
	if peer.Family != unix.AF_INET || !p.openICMP() {
		return
	}
	to := (*unix.RawSockaddrInet4)(unsafe.Pointer(&peer))
	var e envelope
	size := e.sendFrom(ep.addr.Addr())
	message := unreachable(to.Addr, swap(to.Port), ep)
	_, _ = unix.SendmsgN(p.icmp, message, e.control[:size], &unix.SockaddrInet4{Addr: to.Addr}, unix.MSG_DONTWAIT)
}

// icmpFilter is the option that keeps the types of message whose bits are set
// from a raw ICMP socket.
const icmpFilter = 1

// openICMP tries once.
func (p *packets) openICMP() bool {
	if !p.icmpOpen {
		p.icmpOpen = true
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err != nil {
			return false
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, -1) // nobody reads it
		p.icmp = fd
	}
	return p.icmp >= 0
}

// unreachable is the ICMP message "port unreachable" about a datagram that a
// client sent to an address: its headers are quoted (RFC 792).
func unreachable(client [4]byte, port uint16, ep *endpoint) []byte {
	const udpHeader, ipHeader, icmpHeader = 8, 20, 8
	m := make([]byte, icmpHeader+ipHeader+udpHeader)
	m[0], m[1] = 3, 3
	ip := m[icmpHeader:]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], ipHeader+udpHeader)
	to := ep.addr.Addr().As4()
	copy(ip[12:], client[:])
	copy(ip[16:], to[:])
	udp := ip[ipHeader:]
	binary.BigEndian.PutUint16(udp, port)
	binary.BigEndian.PutUint16(udp[2:], ep.addr.Port())
	binary.BigEndian.PutUint16(udp[4:], udpHeader)
	binary.BigEndian.PutUint16(m[2:], internetChecksum(m))
	return m
}

func internetChecksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
