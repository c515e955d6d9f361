package inventory

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// prefixGrid reads a prefix. An IPv4 prefix shorter than /31 stands for its
// hosts, without the network's and the broadcast address, as in fping -g;
// every other prefix stands for all its addresses.
func prefixGrid(text string) (host, grid, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return host{}, grid{}, fmt.Errorf("%q is no prefix: write one such as 10.0.0.0/16 or 2001:db8::/120", text)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return host{}, grid{}, errTooMany
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	first := p.Masked().Addr()
	if p.IsSingleIP() {
		return addrHost(first), grid{}, nil
	}
	if first.Is6() {
		if p.Bits() < 88 {
			return host{}, grid{}, errTooMany
		}
		g, err := betweenIPv6(first, lastIPv6(p))
		return host{}, g, err
	}
	n := uint64(1) << (32 - p.Bits())
	from := first.As4()
	lo := uint64(binary.BigEndian.Uint32(from[:]))
	if p.Bits() < 31 {
		g, err := betweenIPv4(lo, lo+n-1, 1)
		g.trimmed = true
		return host{}, g, err
	}
	g, err := betweenIPv4(lo, lo+n-1, 0)
	return host{}, g, err
}

func lastIPv6(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As16()
	lo := binary.BigEndian.Uint64(b[8:]) | (1<<(128-p.Bits()) - 1)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.AddrFrom16(b)
}

// rangeGrid reads "first-last", two addresses of one family, both included.
func rangeGrid(text string) (host, grid, error) {
	fromText, toText, _ := strings.Cut(text, "-")
	from, _ := netip.ParseAddr(fromText)
	to, _ := netip.ParseAddr(toText)
	from, to = from.Unmap(), to.Unmap()
	switch {
	case from.Zone() != "" || to.Zone() != "":
		return host{}, grid{}, fmt.Errorf("%q: a range of addresses cannot have a zone", text)
	case from.Is4() != to.Is4():
		return host{}, grid{}, fmt.Errorf("%q: both ends of a range must be of one family", text)
	case to.Less(from):
		return host{}, grid{}, fmt.Errorf("%q: the range runs backwards", text)
	case from == to:
		return addrHost(from), grid{}, nil
	case from.Is6():
		g, err := betweenIPv6(from, to)
		return host{}, g, err
	}
	a, b := from.As4(), to.As4()
	g, err := betweenIPv4(uint64(binary.BigEndian.Uint32(a[:])), uint64(binary.BigEndian.Uint32(b[:])), 0)
	return host{}, g, err
}

// betweenIPv4 is the addresses lo to hi without the outermost trim at either
// end. The octets that both ends share are fixed, the first other one runs from end to
// end, the rest are free; the range is then one run of that box's ranks.
func betweenIPv4(lo, hi uint64, trim uint64) (grid, error) {
	dims := make([]ranges, 4)
	shared, free := true, uint64(0)
	for d := range dims {
		shift := 24 - 8*d
		a, b := lo>>shift&0xff, hi>>shift&0xff
		switch {
		case !shared:
			a, b = 0, 0xff
		case a != b:
			shared = false
			free = 1 << shift
		}
		dims[d] = newRanges([]span{{a, b}})
	}
	b, err := newBox(shapeIPv4, dims)
	if err != nil {
		return grid{}, err
	}
	first := uint64(0)
	if free > 0 {
		first = lo % free
	}
	run := span{first + trim, first + hi - lo - trim}
	if run == (span{0, b.n - 1}) {
		return grid{box: b}, nil
	}
	return grid{box: b}.only(newRanges([]span{run})), nil
}

// betweenIPv6 is the addresses from one to another that agree in their upper halves.
func betweenIPv6(from, to netip.Addr) (grid, error) {
	a, b := from.As16(), to.As16()
	upper := binary.BigEndian.Uint64(a[:8])
	if upper != binary.BigEndian.Uint64(b[:8]) {
		return grid{}, fmt.Errorf("%v-%v: the ends differ in the upper 64 bits: name one range for each network", from, to)
	}
	lo, hi := binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])
	if hi-lo >= maxTargets {
		return grid{}, errTooMany
	}
	box, err := newBox(shapeIPv6, []ranges{oneNumber(upper), newRanges([]span{{lo, hi}})})
	return grid{box: box}, err
}
