package dial

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// prefixSet finds the prefix that holds an address. Prefixes either nest or are disjoint, so with
// the nested ones dropped the rest is a sorted list of disjoint ranges, and the only candidate is
// the last one that starts at or before the address.
type prefixSet []netip.Prefix

func newPrefixSet(ps []netip.Prefix) prefixSet {
	all := make(prefixSet, 0, len(ps))
	for _, p := range ps {
		all = append(all, unmapPrefix(p))
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	set := all[:0]
	for _, p := range all {
		if n := len(set); n > 0 && set[n-1].Contains(p.Addr()) {
			continue
		}
		set = append(set, p)
	}
	return slices.Clip(set)
}

// unmapPrefix returns p without zone and host bits, and as IPv4 when it is a range of IPv4-mapped
// addresses.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// linearMax is the length up to which a plain loop beats the binary search.
const linearMax = 8

// lookup returns the prefix that holds a.
func (s prefixSet) lookup(a netip.Addr) (netip.Prefix, bool) {
	if len(s) <= linearMax {
		for _, p := range s {
			if p.Contains(a) {
				return p, true
			}
		}
		return netip.Prefix{}, false
	}
	i := sort.Search(len(s), func(i int) bool { return a.Less(s[i].Addr()) })
	if i > 0 && s[i-1].Contains(a) {
		return s[i-1], true
	}
	return netip.Prefix{}, false
}

// match returns the prefix that holds a, or inner when that is valid.
func (s prefixSet) match(a, inner netip.Addr) (netip.Prefix, bool) {
	if len(s) == 0 {
		return netip.Prefix{}, false
	}
	if p, ok := s.lookup(a); ok || !inner.IsValid() {
		return p, ok
	}
	return s.lookup(inner)
}
