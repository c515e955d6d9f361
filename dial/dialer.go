package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster"
)

// Dialer opens sockets. The zero value works: the built-in policy, the system's resolver, any
// source address, either family, and all the descriptors that the process may have. It is safe
// for concurrent use; its fields must not change, nor it be copied, after first use.
type Dialer struct {
	// Policy says which addresses may be spoken to.
	Policy Policy
	// Resolver resolves names; nil is a zero Resolver of the dialer's own.
	Resolver *Resolver
	// Source is the local address of every socket; the zero value lets the kernel choose.
	Source netip.Addr
	// Family restricts name resolution: 4, 6, or 0 for either. Literal addresses
	// are taken as they are.
	Family int
	// Prefer is the family, 4 or 6, to take of a name that has addresses of both; 0 is 4.
	Prefer int
	// Budget counts the sockets; nil is a zero Budget of the dialer's own.
	Budget *Budget

	once sync.Once
	s    state
}

// state is what the first use makes of the fields.
type state struct {
	rules       *Rules
	resolver    *Resolver
	budget      *Budget
	shortPorts  atomic.Uint64
	shortMemory atomic.Uint64
	scarce      scarcity
}

func (d *Dialer) state() *state {
	d.once.Do(func() {
		d.s.rules = d.Policy.Compile()
		d.s.resolver, d.s.budget = d.Resolver, d.Budget
		if d.s.resolver == nil {
			d.s.resolver = new(Resolver)
		}
		if d.s.budget == nil {
			d.s.budget = new(Budget)
		}
	})
	return &d.s
}

// FromPlan returns a dialer with the plan's source, policy and family. The error joins all that
// is wrong with them; a source that is not an address of this machine is found here.
func FromPlan(p *muster.Plan) (*Dialer, error) {
	policy, perr := ParsePolicy(p.Allow, p.Deny)
	source, serr := parseSource(p.Source)
	d := &Dialer{Policy: policy, Source: source, Family: p.Family, Prefer: p.Prefer}
	if err := errors.Join(perr, serr, d.Validate()); err != nil {
		return nil, err
	}
	return d, nil
}

func parseSource(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, muster.Errorf(muster.KindInvalid, "source %q: want an IP address of this machine", s)
	}
	return a.Unmap(), nil
}

// Validate reports every problem of the fields at once. It asks the kernel whether Source is an
// address of this machine.
func (d *Dialer) Validate() error {
	var errs []error
	if d.Family != 0 && d.Family != 4 && d.Family != 6 {
		errs = append(errs, muster.Errorf(muster.KindInvalid, "address family %d: want 4 or 6", d.Family))
	}
	if d.Prefer != 0 && d.Prefer != 4 && d.Prefer != 6 {
		errs = append(errs, muster.Errorf(muster.KindInvalid, "preferred address family %d: want 4 or 6", d.Prefer))
	}
	for _, p := range append(d.Policy.Allow[:len(d.Policy.Allow):len(d.Policy.Allow)], d.Policy.Deny...) {
		if !p.IsValid() {
			errs = append(errs, muster.Errorf(muster.KindInvalid, "policy prefix %v: want a prefix such as 10.0.0.0/8", p))
		}
	}
	if d.Source.IsValid() {
		errs = append(errs, checkSource(d.Source))
	}
	return errors.Join(errs...)
}

// checkSource binds a socket to the address, which is what every attempt would do.
func checkSource(a netip.Addr) error {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return muster.Errorf(muster.KindInvalid, "source %v: want an address of this machine: %w", a, err)
	}
	return c.Close()
}

// Check holds the policy against one address: nil when it may be spoken to. It does not allocate then.
func (d *Dialer) Check(a netip.Addr) *Error { return d.state().rules.Check(a) }

// Resolve returns the one address that an attempt on host and port speaks to, after the policy allowed
// it. literal is the parsed host when the caller has it, else the zero value; it costs no
// allocation. A host that is a literal itself is not looked up either.
//
// Of a name's several addresses it takes the numerically lowest, IPv4 before IPv6 unless Family or Prefer
// says otherwise, so that the order in which servers rotate them changes nothing. The error is an [*Error].
func (d *Dialer) Resolve(ctx context.Context, host string, literal netip.Addr, port uint16) (netip.AddrPort, error) {
	s := d.state()
	a := literal
	if !a.IsValid() {
		var err *Error
		if a, err = s.address(ctx, host, d.wanted()); err != nil {
			return netip.AddrPort{}, err
		}
	}
	a = a.Unmap()
	if err := s.rules.Check(a); err != nil {
		return netip.AddrPort{}, forHost(err, host)
	}
	return netip.AddrPortFrom(a, port), nil
}

// forHost names the host in a denial when a name led to the address.
func forHost(err *Error, host string) *Error {
	if _, e := netip.ParseAddr(host); e == nil || host == "" {
		return err
	}
	named := *err
	named.Detail = host + ": " + err.Detail
	return &named
}

// wanted is what the resolver is asked for: a family, either, or IPv6 rather than IPv4.
func (d *Dialer) wanted() int {
	if d.Family == 0 && d.Prefer == 6 {
		return sixBeforeFour
	}
	return d.Family
}

func (s *state) address(ctx context.Context, host string, family int) (netip.Addr, *Error) {
	if a, ok := parseLiteral(host); ok {
		return a, nil
	}
	return s.resolver.lookup(ctx, host, family)
}

// parseLiteral reads an IP address, in brackets or not. The first byte rules out nearly all names
// without the cost of a parse error.
func parseLiteral(host string) (netip.Addr, bool) {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	if !mayBeLiteral(host) {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

func mayBeLiteral(host string) bool {
	if host == "" {
		return false
	}
	last := host[len(host)-1]
	for i := range len(host) {
		if host[i] == ':' {
			return true
		}
	}
	return host[0] >= '0' && host[0] <= '9' && last >= '0' && last <= '9'
}

// ResolveCached is Resolve for event loops: it never blocks. ok is false when the name must be looked
// up first, by Resolve on another goroutine.
func (d *Dialer) ResolveCached(host string, literal netip.Addr, port uint16) (ap netip.AddrPort, ok bool, err error) {
	s := d.state()
	a := literal
	if !a.IsValid() {
		if a, ok = parseLiteral(host); !ok {
			var e *Error
			if a, e, ok = s.resolver.cached(host, d.wanted()); !ok || e != nil {
				return netip.AddrPort{}, ok, orNil(e)
			}
		}
	}
	a = a.Unmap()
	if e := s.rules.Check(a); e != nil {
		return netip.AddrPort{}, true, forHost(e, host)
	}
	return netip.AddrPortFrom(a, port), true, nil
}

// orNil keeps a nil *Error from becoming an error that is not nil.
func orNil(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// DialContext resolves and dials "host:port" over network "tcp", "tcp4" or "tcp6": the form that
// net/http and other libraries ask for. The error is an [*Error].
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, invalid("network " + network + ": want tcp")
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, invalid(err.Error())
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, invalid("port " + service + " of " + address + ": want 1 to 65535")
	}
	ap, err := d.Resolve(ctx, host, netip.Addr{}, uint16(port))
	if err != nil {
		return nil, err
	}
	return d.Dial(ctx, ap)
}
