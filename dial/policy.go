package dial

import (
	"net/netip"

	"github.com/musterhq/muster"
)

// Policy says which addresses may be spoken to. The zero value denies only the built-in ranges:
// the metadata services of clouds, link-local, multicast, broadcast and unspecified addresses.
//
// The rules, for one resolved address:
//
//  1. An address in Deny is denied.
//  2. An address in Allow is allowed, even if it is in a built-in range: an Allow prefix that covers a
//     built-in range opens it, 0.0.0.0/0 opens all of IPv4's.
//  3. An address in a built-in range is denied.
//  4. If Allow is not empty, every other address is denied; else it is allowed.
//
// IPv4 addresses inside of IPv6 ones (mapped, NAT64 64:ff9b::/96, 6to4, IPv4-compatible) are
// judged as both. Zones are ignored.
type Policy struct {
	Allow, Deny []netip.Prefix
}

// Check returns nil when a may be spoken to, else an error with outcome Denied whose reason
// names the rule. It compiles the policy on each call: use [Policy.Compile] for many addresses.
func (p Policy) Check(a netip.Addr) *Error { return p.Compile().Check(a) }

// Compile returns the policy in a form that is checked in tens of nanoseconds, however long
// its lists are. The prefixes must be valid. It keeps no reference to them.
func (p Policy) Compile() *Rules {
	return &Rules{
		allow: newPrefixSet(p.Allow),
		deny:  newPrefixSet(p.Deny),
		only:  len(p.Allow) > 0,
	}
}

// Rules are a compiled [Policy]. They are immutable and safe for concurrent use.
type Rules struct {
	allow, deny prefixSet
	only        bool // Allow was not empty
}

// Check returns nil when a may be spoken to, else an error with outcome Denied whose reason
// names the rule. It does not allocate when it allows.
func (r *Rules) Check(a netip.Addr) *Error {
	a = a.Unmap().WithZone("")
	inner := embedded(a)
	if p, ok := r.deny.match(a, inner); ok {
		return denied(a, "denied "+p.String())
	}
	if _, ok := r.allow.match(a, inner); ok {
		return nil
	}
	if b := builtin(a); b != nil {
		return denied(a, b.reason())
	}
	if inner.IsValid() {
		if b := builtin(inner); b != nil {
			return denied(a, b.reason())
		}
	}
	if r.only {
		return denied(a, "denied not in allow list")
	}
	return nil
}

func denied(a netip.Addr, reason string) *Error {
	return &Error{Outcome: muster.Denied, Reason: reason, Detail: a.String() + ": " + reason}
}

// reserved is a range that is denied unless it is allowed.
type reserved struct {
	name   string
	prefix netip.Prefix
}

func (b *reserved) reason() string { return "denied " + b.name + " " + b.prefix.String() }

// reservedRange returns the built-in denial of a prefix.
func reservedRange(name, prefix string) *reserved {
	return &reserved{name, netip.MustParsePrefix(prefix)}
}

// The built-in denials: never written after start.
var (
	unspecified4 = reservedRange("unspecified", "0.0.0.0/8")
	alibabaMeta  = reservedRange("metadata", "100.100.100.200/32")
	azureWire    = reservedRange("metadata", "168.63.129.16/32")
	linkLocal4   = reservedRange("link-local", "169.254.0.0/16")
	multicast4   = reservedRange("multicast", "224.0.0.0/4")
	broadcast4   = reservedRange("broadcast", "255.255.255.255/32")
	unspecified6 = reservedRange("unspecified", "::/128")
	amazonMeta6  = reservedRange("metadata", "fd00:ec2::254/128")
	googleMeta6  = reservedRange("metadata", "fd20:ce::254/128")
	linkLocal6   = reservedRange("link-local", "fe80::/10")
	multicast6   = reservedRange("multicast", "ff00::/8")
)

// builtin returns the built-in denial that holds a, nil when there is none.
func builtin(a netip.Addr) *reserved {
	if !a.Is4() {
		return builtin6(a)
	}
	switch b := a.As4(); {
	case b[0] == 0:
		return unspecified4
	case b[0] == 169 && b[1] == 254:
		return linkLocal4
	case b[0]>>4 == 0xe:
		return multicast4
	case b == [4]byte{255, 255, 255, 255}:
		return broadcast4
	case b == [4]byte{100, 100, 100, 200}:
		return alibabaMeta
	case b == [4]byte{168, 63, 129, 16}:
		return azureWire
	}
	return nil
}

func builtin6(a netip.Addr) *reserved {
	switch {
	case a.IsUnspecified():
		return unspecified6
	case a.IsLinkLocalUnicast():
		return linkLocal6
	case a.IsMulticast():
		return multicast6
	case a == amazonMeta6.prefix.Addr():
		return amazonMeta6
	case a == googleMeta6.prefix.Addr():
		return googleMeta6
	}
	return nil
}

// embedded returns the IPv4 address that a translator or tunnel would take out of the IPv6
// address a, the zero value when there is none.
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return netip.Addr{}
	}
	b := a.As16()
	switch {
	case [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b}: // NAT64, RFC 6052
		return netip.AddrFrom4([4]byte(b[12:]))
	case b[0] == 0x20 && b[1] == 0x02: // 6to4, RFC 3056
		return netip.AddrFrom4([4]byte(b[2:6]))
	case [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0): // IPv4-compatible, RFC 4291; not :: and ::1
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.Addr{}
}
