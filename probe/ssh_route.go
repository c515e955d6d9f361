package probe

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
	"github.com/musterhq/muster/vars"
)

// maxJumps bounds a chain of jump hosts, so that a configuration that jumps in a circle ends.
const maxJumps = 8

// sshRoute is where one login goes, and how.
type sshRoute struct {
	host     string     // name or address to connect to
	addr     netip.Addr // of host when it is a literal
	port     uint16
	user     string
	via      *sshRoute // nil: directly
	keyName  string    // host keys are known by it
	keyPort  uint16
	auth     *sshAuth
	verifier *hostkey.Verifier
}

// name is how people are told of the route.
func (r *sshRoute) name() string {
	k := r.user + "@" + r.hostPort()
	if r.via != nil {
		k += " via " + r.via.name()
	}
	return k
}

// key identifies a login: routes with the same one may share a connection. A connection is not shared with those
// who would verify its host key otherwise, or log in with other keys.
func (r *sshRoute) key() string {
	k := fmt.Sprintf("%s %s %d %p %p", r.name(), r.keyName, r.keyPort, r.auth, r.verifier)
	if r.via != nil {
		k += " via " + r.via.key()
	}
	return k
}

func (r *sshRoute) hostPort() string {
	if strings.Contains(r.host, ":") {
		return "[" + r.host + "]:" + strconv.Itoa(int(r.port))
	}
	return r.host + ":" + strconv.Itoa(int(r.port))
}

// sshHop is one server of a route before the configuration has been asked.
type sshHop struct {
	host string
	addr netip.Addr
	port uint16
	user string
}

// route returns the way to t.
func (s *sshLogin) route(ctx context.Context, t *muster.Target) (*sshRoute, *defect) {
	h := sshHop{host: t.Host, addr: t.Addr, port: t.Port}
	if !h.addr.IsValid() {
		if err := checkHost(t.Host); err != nil {
			return nil, &defect{"invalid host", err}
		}
	}
	var jump, port string
	for _, e := range []struct {
		tpl  *vars.Template
		text *string
	}{{s.user, &h.user}, {s.jump, &jump}, {s.port, &port}} {
		if e.tpl == nil {
			continue
		}
		var err error
		if *e.text, err = e.tpl.Expand(t); err != nil {
			return nil, expansionDefect(err)
		}
	}
	if h.port == 0 && port != "" {
		var err error
		if h.port, err = parsePort(port); err != nil {
			return nil, &defect{"invalid port", err}
		}
	}
	r, d := s.complete(ctx, h, jump, 0)
	if d == nil {
		d = r.plain()
	}
	return r, d
}

// plain finds hosts that a jump host would take for an address which nobody here has held against the target policy.
func (r *sshRoute) plain() *defect {
	for ; r.via != nil; r = r.via {
		if !r.addr.IsValid() && isNumeric(r.host) {
			return &defect{"invalid host", muster.Errorf(muster.KindInvalid, "host %q: write the address as a.b.c.d", r.host)}
		}
	}
	return nil
}

// isNumeric reports whether host is an address as inet_aton(3) reads one: up to four decimal, octal or hexadecimal numbers.
func isNumeric(host string) bool {
	for part := range strings.SplitSeq(host, ".") {
		digits := "0123456789"
		part, hex := strings.CutPrefix(strings.ToLower(part), "0x")
		if hex {
			digits += "abcdef"
		}
		if strings.Trim(part, digits) != "" {
			return false
		}
	}
	return true
}

// complete asks the configuration about a hop. jump, when it is not empty, overrides its ProxyJump;
// depth is the number of jumps so far.
func (s *sshLogin) complete(ctx context.Context, h sshHop, jump string, depth int) (*sshRoute, *defect) {
	c := s.config.Lookup(h.host, h.user)
	r := &sshRoute{host: h.host, addr: h.addr, port: cmp.Or(h.port, c.Port, 22), user: cmp.Or(h.user, c.User, s.tokens.LocalUser)}
	if c.HostName != "" {
		r.host, r.addr = c.HostName, netip.Addr{}
	}
	if !r.addr.IsValid() {
		r.addr, _ = netip.ParseAddr(r.host)
	}
	r.keyName, r.keyPort = r.host, r.port
	if c.HostKeyAlias != "" {
		r.keyName, r.keyPort = c.HostKeyAlias, 0
	}
	tokens := s.tokens
	tokens.Host, tokens.User, tokens.Original, tokens.Port = r.host, r.user, h.host, strconv.Itoa(int(r.port))
	var err error
	if r.auth, err = s.auth(ctx, &c, tokens, depth > 0); err != nil {
		return nil, &defect{"login", err}
	}
	if r.verifier, err = s.verifier(&c, tokens); err != nil {
		return nil, &defect{"known hosts", err}
	}
	if jump == "" {
		if c.ProxyCommand != "" && c.ProxyCommand != "none" {
			return nil, &defect{"proxy command", muster.Errorf(muster.KindInvalid,
				"%s: the ssh configuration reaches it by a ProxyCommand, which is not run: give --jump HOST, or --jump none to connect directly", h.host)}
		}
		jump = c.ProxyJump
	}
	return r, s.chain(ctx, r, jump, depth)
}

// chain sets how r is reached through the jumps.
func (s *sshLogin) chain(ctx context.Context, r *sshRoute, jump string, depth int) *defect {
	if jump == "" || jump == "none" {
		return nil
	}
	hops, err := parseJumps(jump)
	if err != nil {
		return &defect{"invalid jump", err}
	}
	if depth+len(hops) > maxJumps {
		return &defect{"invalid jump", muster.Errorf(muster.KindInvalid, "%s: more than %d jumps, perhaps in a circle", r.host, maxJumps)}
	}
	for i, h := range hops {
		own := "none" // only the first is reached as the configuration says
		if i == 0 {
			own = ""
		}
		j, d := s.complete(ctx, h, own, depth+len(hops))
		if d != nil {
			return d
		}
		if i > 0 {
			j.via = r.via
		}
		r.via = j
	}
	return nil
}

// parseJumps reads [user@]host[:port], or ssh://[user@]host[:port], separated by commas.
func parseJumps(text string) ([]sshHop, error) {
	if text == "none" {
		return nil, nil
	}
	var hops []sshHop
	for part := range strings.SplitSeq(text, ",") {
		h, err := parseHop(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(part), "ssh://"), "/"))
		if err != nil {
			return nil, muster.Errorf(muster.KindInvalid, "jump %q: want [user@]host[:port]: %w", part, err)
		}
		hops = append(hops, h)
	}
	return hops, nil
}

func parseHop(s string) (h sshHop, err error) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		h.user, s = s[:i], s[i+1:]
	}
	h.host = s
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var port string
		h.host, port, ok = strings.Cut(rest, "]")
		if !ok {
			return h, muster.Errorf(muster.KindInvalid, "the bracket is not closed")
		}
		s = port
	}
	if host, port, ok := strings.Cut(s, ":"); ok && !strings.Contains(port, ":") {
		if h.port, err = parsePort(port); err != nil {
			return h, err
		}
		if host != "" {
			h.host = host
		}
	}
	h.addr, _ = netip.ParseAddr(h.host)
	if h.addr.IsValid() {
		return h, nil
	}
	return h, checkHost(h.host)
}
