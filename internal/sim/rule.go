package sim

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Rule gives a behaviour to the requests that meet all its conditions. Its text
// form is what [ParseRule] reads.
type Rule struct {
	Addr      string    // address, CIDR or octet pattern such as 127.1-3.*.7; "" or "*" is any
	Port      uint16    // local port; 0 is any
	Path      string    // exact path without the query, or a prefix ending in *; "" is any
	Method    string    // "" is any
	Behaviour Behaviour // what to do
}

// Rules are tried in order; the first that matches decides, and an address that
// none matches follows the fleet's mix.
type Rules []Rule

// ParseRules reads rules separated by white space or semicolons; text from a #
// at the start of a line to its end is a comment.
func ParseRules(s string) (Rules, error) {
	var rs Rules
	for number, line := range strings.Split(s, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, part := range splitTop(line, ' ', '\t', '\r', ';') {
			r, err := ParseRule(part)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number+1, err)
			}
			rs = append(rs, r)
		}
	}
	return rs, nil
}

// ParseRule reads conditions joined with & and, after the last equals sign that
// is not part of a condition, a behaviour:
//
//	127.1.3.0/24=hang
//	*.*.*.7=status:503
//	path=/slow=slow:2s
//	127.1-3.*.*&port=8080&method=POST&path=/api/*=reset
func ParseRule(s string) (Rule, error) {
	i := strings.LastIndexByte(s, '=')
	if i < 0 {
		return Rule{}, fmt.Errorf("rule %q: want conditions=behaviour, such as 127.1.3.0/24=hang", s)
	}
	r := Rule{}
	for cond := range strings.SplitSeq(s[:i], "&") {
		if err := r.condition(cond); err != nil {
			return Rule{}, fmt.Errorf("rule %q: %w", s, err)
		}
	}
	var err error
	if r.Behaviour, err = ParseBehaviour(s[i+1:]); err != nil {
		return Rule{}, fmt.Errorf("rule %q: %w", s, err)
	}
	return r, nil
}

func (r *Rule) condition(cond string) error {
	key, value, hasKey := strings.Cut(cond, "=")
	switch {
	case !hasKey:
		r.Addr = cond
		_, err := parsePattern(cond)
		return err
	case key == "path" && strings.HasPrefix(value, "/"):
		r.Path = value
	case key == "method" && value != "":
		r.Method = value
	case key == "port":
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf("port %q is not between 1 and 65535", value)
		}
		r.Port = uint16(port)
	default:
		return fmt.Errorf("condition %q: want an address pattern or path, method or port with a value", cond)
	}
	return nil
}

// String is the form that [ParseRule] reads back.
func (r Rule) String() string {
	var conds []string
	if r.Addr != "" {
		conds = append(conds, r.Addr)
	}
	if r.Port != 0 {
		conds = append(conds, "port="+strconv.Itoa(int(r.Port)))
	}
	if r.Method != "" {
		conds = append(conds, "method="+r.Method)
	}
	if r.Path != "" {
		conds = append(conds, "path="+r.Path)
	}
	if len(conds) == 0 {
		conds = []string{"*"}
	}
	return strings.Join(conds, "&") + "=" + r.Behaviour.String()
}

// MarshalText implements [encoding.TextMarshaler].
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Rule) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRule(string(text))
	return err
}

// pattern is the compiled form of [Rule.Addr].
type pattern struct {
	prefix netip.Prefix // if valid, decides alone
	octets [4][2]uint8  // inclusive bounds of each octet of an IPv4 address
	any    bool
}

func parsePattern(s string) (pattern, error) {
	if s == "" || s == "*" {
		return pattern{any: true}, nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return pattern{prefix: p.Masked()}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return pattern{prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	parts := strings.Split(s, ".")
	p := pattern{}
	if len(parts) != len(p.octets) {
		return p, fmt.Errorf("address %q: want an address, a CIDR or four octets such as 127.1-3.*.7", s)
	}
	for i, part := range parts {
		var err error
		if p.octets[i], err = parseOctet(part); err != nil {
			return p, fmt.Errorf("address %q: %w", s, err)
		}
	}
	return p, nil
}

func parseOctet(s string) ([2]uint8, error) {
	if s == "*" {
		return [2]uint8{0, 255}, nil
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	low, high, isSpan := strings.Cut(s, "-")
	if !isSpan {
		high = low
	}
	a, errA := strconv.ParseUint(low, 10, 8)
	b, errB := strconv.ParseUint(high, 10, 8)
	if errA != nil || errB != nil || b < a {
		return [2]uint8{}, fmt.Errorf("octet %q: want *, 7 or 1-3, up to 255", s)
	}
	return [2]uint8{uint8(a), uint8(b)}, nil
}

func (p *pattern) match(a netip.Addr) bool {
	if p.any {
		return true
	}
	if p.prefix.IsValid() {
		return p.prefix.Contains(a)
	}
	if !a.Is4() {
		return false
	}
	for i, octet := range a.As4() {
		if octet < p.octets[i][0] || octet > p.octets[i][1] {
			return false
		}
	}
	return true
}
