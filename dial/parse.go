package dial

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/musterhq/muster"
)

// ParsePolicy reads the prefixes of a policy: "10.0.0.0/8", "2001:db8::/32", or one address. The
// error joins every entry that is neither.
func ParsePolicy(allow, deny []string) (Policy, error) {
	a, aerr := parsePrefixes("allow", allow)
	d, derr := parsePrefixes("deny", deny)
	return Policy{Allow: a, Deny: d}, errors.Join(aerr, derr)
}

func parsePrefixes(list string, texts []string) ([]netip.Prefix, error) {
	var ps []netip.Prefix
	var errs []error
	for _, s := range texts {
		p, err := parsePrefix(strings.TrimSpace(s))
		if err != nil {
			errs = append(errs, muster.Errorf(muster.KindInvalid,
				"%s %q: want a prefix such as 10.0.0.0/8 or an address such as 10.1.2.3", list, s))
			continue
		}
		ps = append(ps, p)
	}
	return ps, errors.Join(errs...)
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return unmapPrefix(p), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}
