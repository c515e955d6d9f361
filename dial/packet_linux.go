package dial

import (
	"errors"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
)

// PacketBuffer is the receive buffer that sockets of OpenPacket and OpenICMP ask for. A process that
// may not go beyond net.core.rmem_max gets that.
const PacketBuffer = 16 << 20

// OpenPacket returns a non-blocking UDP socket of the family (4 or 6) that is connected to nobody, to be
// shared by many targets: for event loops on Linux. It is bound to the dialer's source. Received
// datagrams carry the kernel's time of arrival (SO_TIMESTAMPNS) and the number of datagrams that found
// no room (SO_RXQ_OVFL); ICMP errors come through its error queue, with the destination that they concern.
//
// Nothing checks where it sends to: the caller holds the policy against each destination with Check.
// The socket belongs to the caller, who must give it to Close, and to nothing else. It never waits. The error
// is an [*Error].
func (d *Dialer) OpenPacket(family int) (fd int, err error) {
	return d.openShared(family, func(domain int) (int, error) {
		fd, err := packetSocket(domain, unix.SOCK_DGRAM, 0)
		if err != nil {
			return -1, err
		}
		if domain == unix.AF_INET6 {
			err = os.NewSyscallError("setsockopt V6ONLY", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
		}
		return fd, errors.Join(err, reportErrors(fd, domain))
	})
}

// OpenICMP is [Dialer.OpenPacket] for echo requests. raw says which of two it is. A raw socket receives
// every ICMP message of the host, with the IP header before it in IPv4, until the caller filters them. Where that is not
// permitted it is a ping socket: the kernel sets the identifier and delivers the replies to it alone, and errors come
// through the error queue. Where neither is permitted the error says which command permits it.
func (d *Dialer) OpenICMP(family int) (fd int, raw bool, err error) {
	fd, err = d.openShared(family, func(domain int) (int, error) {
		fd, err := packetSocket(domain, unix.SOCK_RAW, icmpOf(domain))
		if raw = err == nil; raw || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
			return fd, err
		}
		if fd, err = packetSocket(domain, unix.SOCK_DGRAM, icmpOf(domain)); err != nil {
			return -1, err
		}
		return fd, reportErrors(fd, domain)
	})
	if e, ok := errors.AsType[*Error](err); ok && forbidden(e) {
		err = icmpForbidden(e)
	}
	return fd, raw, err
}

func icmpOf(domain int) int {
	if domain == unix.AF_INET6 {
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}

// openShared takes a descriptor, and makes what open returns ready to be shared. A socket that comes with an
// error is closed.
func (d *Dialer) openShared(family int, open func(domain int) (int, error)) (int, error) {
	s := d.state()
	domain, e := d.domain(family)
	if e != nil {
		return -1, e
	}
	if !s.budget.TryAcquire() {
		return -1, failed(muster.FailLocal, ReasonDescriptors, true, nil)
	}
	fd, err := open(domain)
	if err == nil {
		err = d.share(fd)
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		e := Classify(err, PhaseConnect)
		s.settle(e)
		return -1, e
	}
	return fd, nil
}

func (d *Dialer) domain(family int) (int, *Error) {
	domain := unix.AF_INET
	switch family {
	case 4:
	case 6:
		domain = unix.AF_INET6
	default:
		return 0, invalid("address family " + strconv.Itoa(family) + ": want 4 or 6")
	}
	if d.Source.IsValid() && d.Source.Is4() != (family == 4) {
		return 0, sourceError(d.Source, unix.EAFNOSUPPORT)
	}
	return domain, nil
}

func packetSocket(domain, kind, protocol int) (int, error) {
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// share sets what all shared sockets have in common.
func (d *Dialer) share(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, PacketBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, PacketBuffer)
	}
	for _, o := range [...]int{unix.SO_TIMESTAMPNS, unix.SO_RXQ_OVFL} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if !d.Source.IsValid() {
		return nil
	}
	sa, _, err := sockaddr(netip.AddrPortFrom(d.Source, 0))
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return sourceError(d.Source, err)
	}
	return nil
}

// reportErrors has ICMP errors queued with the destination that they concern.
func reportErrors(fd, domain int) error {
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if domain == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	return os.NewSyscallError("setsockopt RECVERR", unix.SetsockoptInt(fd, level, option, 1))
}

func forbidden(e *Error) bool {
	return errors.Is(e.Err, unix.EPERM) || errors.Is(e.Err, unix.EACCES)
}

// icmpForbidden says what permits ICMP sockets.
func icmpForbidden(e *Error) *Error {
	exe, err := os.Executable()
	if err != nil {
		exe = "muster"
	}
	denied := failed(muster.FailLocal, ReasonICMP, false, e.Err)
	denied.Detail = "this user may not send ICMP: either 'sudo setcap cap_net_raw+ep " + exe +
		"', or 'sudo sysctl net.ipv4.ping_group_range=\"0 2147483647\"'"
	return denied
}
