package probe

import "github.com/musterhq/muster"

// The types of ICMP and ICMPv6 messages that say something of an exchange.
const (
	icmpEchoReply    = 0
	icmpUnreachable  = 3
	icmpEcho         = 8
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
	icmp6Echo         = 128
	icmp6EchoReply    = 129
)

// unreachable returns the shared fault of a network that does not deliver.
func unreachable(reason string, transient bool) *fault {
	return &fault{muster.FailUnreachable, reason, "", transient}
}

// The ways in which the network refuses a datagram; never written after start.
var (
	errNetUnreachable  = unreachable("network unreachable", true)
	errHostUnreachable = unreachable("host unreachable", true)
	errProtoUnknown    = unreachable("protocol unreachable", false)
	errPortUnreachable = unreachable("port unreachable", true)
	errTooBig          = unreachable("fragmentation needed", false)
	errSourceRoute     = unreachable("source route failed", false)
	errProhibited      = unreachable("administratively prohibited", false)
	errTTLExceeded     = unreachable("ttl exceeded", false)
	errReassembly      = unreachable("reassembly time exceeded", true)
	errParameter       = unreachable("parameter problem", false)
	errBeyondScope     = unreachable("beyond scope of source", false)
	errRejectedRoute   = unreachable("route rejected", false)
	errUnreachable     = unreachable("unreachable", true)
	errNoRoute         = unreachable("no route to host", true)
)

var unreachable4 = [...]*fault{
	errNetUnreachable, errHostUnreachable, errProtoUnknown, errPortUnreachable, errTooBig, errSourceRoute,
	errNetUnreachable, errHostUnreachable, errHostUnreachable, errProhibited, errProhibited, errNetUnreachable,
	errHostUnreachable, errProhibited, errProhibited, errProhibited,
}

var unreachable6 = [...]*fault{
	errNoRoute, errProhibited, errBeyondScope, errHostUnreachable, errPortUnreachable, errProhibited, errRejectedRoute,
}

// icmpFault returns the shared fault that an ICMP message of the family means for the datagram that it quotes; nil
// when it refuses nothing, as a redirect.
func icmpFault(family int, kind, code byte) *fault {
	if family == 6 {
		return icmp6Fault(kind, code)
	}
	switch kind {
	case icmpUnreachable:
		return byCode(unreachable4[:], code)
	case icmpTimeExceeded:
		return exceeded(code)
	case icmpParameter:
		return errParameter
	}
	return nil
}

func icmp6Fault(kind, code byte) *fault {
	switch kind {
	case icmp6Unreachable:
		return byCode(unreachable6[:], code)
	case icmp6TooBig:
		return errTooBig
	case icmp6TimeExceeded:
		return exceeded(code)
	case icmp6Parameter:
		return errParameter
	}
	return nil
}

func exceeded(code byte) *fault {
	if code == 1 {
		return errReassembly
	}
	return errTTLExceeded
}

func byCode(faults []*fault, code byte) *fault {
	if int(code) < len(faults) {
		return faults[code]
	}
	return errUnreachable
}
