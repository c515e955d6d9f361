package probe

import (
	"os"

	"golang.org/x/sys/unix"
)

// attachFilter has a raw socket receive replies to our identifier, and the errors that quote it: all
// other ICMP messages of the host would come to it too, our own requests to loopback addresses among them.
func attachFilter(fd, family int, ident uint16) error {
	program, err := filter6(ident), error(nil)
	if family == 4 {
		program = filter4(ident)
		// Checked before the message is copied for the socket. A set bit keeps a type out.
		wanted := uint32(1<<icmpEchoReply | 1<<icmpUnreachable | 1<<icmpTimeExceeded | 1<<icmpParameter)
		err = unix.SetsockoptInt(fd, unix.SOL_RAW, 1 /* ICMP_FILTER */, int(int32(^wanted)))
	} else {
		f := unix.ICMPv6Filter{Data: [8]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}}
		for _, kind := range []int{icmp6Unreachable, icmp6TooBig, icmp6TimeExceeded, icmp6Parameter, icmp6EchoReply} {
			f.Data[kind/32] &^= 1 << (kind % 32)
		}
		err = unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, 1 /* ICMPV6_FILTER */, &f)
	}
	if err != nil {
		return os.NewSyscallError("setsockopt of an icmp filter", err)
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return os.NewSyscallError("attach an icmp filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
}

// Shorthands of the packet filter's instructions: A and X are its registers.
const (
	loadX4    = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH // X = 4 * (byte & 0xf)
	loadByte  = unix.BPF_LD | unix.BPF_B | unix.BPF_IND  // A = byte at X+k
	loadHalf  = unix.BPF_LD | unix.BPF_H | unix.BPF_IND  // A = 16 bits at X+k
	loadConst = unix.BPF_LDX | unix.BPF_W | unix.BPF_IMM // X = k
	equals    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K // A == k?
	and       = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K // A &= k
	shift     = unix.BPF_ALU | unix.BPF_LSH | unix.BPF_K // A <<= k
	addX      = unix.BPF_ALU | unix.BPF_ADD | unix.BPF_X // A += X
	toX       = unix.BPF_MISC | unix.BPF_TAX             // X = A
	leave     = unix.BPF_RET | unix.BPF_K                // take k bytes of the message
	whole     = 0x40000
)

// filter4 sees a message from its IP header on.
func filter4(ident uint16) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: loadX4, K: 0},
		{Code: loadByte, K: 0}, // the type
		{Code: equals, K: icmpEchoReply, Jf: 3},
		{Code: loadHalf, K: 4},
		{Code: equals, K: uint32(ident), Jf: 9},
		{Code: leave, K: whole},
		{Code: loadByte, K: icmpHeader}, // an error: behind its header, and the IP header that it quotes
		{Code: and, K: 0xf},
		{Code: shift, K: 2},
		{Code: addX},
		{Code: toX},
		{Code: loadHalf, K: icmpHeader + 4},
		{Code: equals, K: uint32(ident), Jf: 1},
		{Code: leave, K: whole},
		{Code: leave, K: 0},
	}
}

// filter6 sees a message from its ICMPv6 header on.
func filter6(ident uint16) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: loadConst, K: 0},
		{Code: loadByte, K: 0},
		{Code: equals, K: icmp6EchoReply, Jf: 3},
		{Code: loadHalf, K: 4},
		{Code: equals, K: uint32(ident), Jf: 4},
		{Code: leave, K: whole},
		{Code: loadHalf, K: icmpHeader + ipv6Header + 4},
		{Code: equals, K: uint32(ident), Jf: 1},
		{Code: leave, K: whole},
		{Code: leave, K: 0},
	}
}
