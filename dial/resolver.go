package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

// The defaults of a zero [Resolver].
const (
	// DefaultLookups is how many lookups are under way at once.
	DefaultLookups = 128
	// DefaultTTL is how long an address is kept.
	DefaultTTL = 60 * time.Second
	// DefaultNegativeTTL is how long "no such host" is kept.
	DefaultNegativeTTL = 5 * time.Second
	// DefaultLookupTimeout bounds one lookup: twice resolv.conf's own default per try.
	DefaultLookupTimeout = 10 * time.Second
	// DefaultNames is how many names are kept.
	DefaultNames = 200_000
)

// Resolver resolves names, each once however many ask, and keeps the answers. The zero value asks
// the system's name servers by the rules of hosts file, resolv.conf and nsswitch.conf, without
// cgo. It is safe for concurrent use; its fields must not change, nor it be copied, after first use.
type Resolver struct {
	// Server is the "host:port" or address of the one name server to ask, by UDP, and by TCP for what
	// UDP truncates; "" is the system's.
	Server string
	// Concurrency bounds the lookups under way; 0 is DefaultLookups.
	Concurrency int
	// TTL is how long an address is kept; 0 is DefaultTTL, negative keeps nothing.
	TTL time.Duration
	// NegativeTTL is how long "no such host" is kept; 0 is DefaultNegativeTTL, negative
	// keeps nothing. Other failures are never kept.
	NegativeTTL time.Duration
	// Timeout bounds one lookup with all its tries; 0 is DefaultLookupTimeout.
	Timeout time.Duration
	// Names bounds the memory: how many names are kept; 0 is DefaultNames.
	Names int

	once  sync.Once
	slots chan struct{}
	cache cache
	std   net.Resolver
}

func (r *Resolver) init() {
	r.once.Do(func() {
		r.slots = make(chan struct{}, orDefault(r.Concurrency, DefaultLookups))
		r.cache.init(orDefault(r.Names, DefaultNames))
		r.std = net.Resolver{PreferGo: true, Dial: dialServer(r.Server)}
	})
}

func orDefault[T int | time.Duration](n, def T) T {
	if n == 0 {
		return def
	}
	return n
}

// Lookup returns the address of a name: the numerically lowest of family 4 or 6, or for family 0 the
// lowest IPv4 address, or if there is none the lowest IPv6 one. Names that are not ASCII are
// encoded as IDNA2008 says; case and one trailing dot do not matter, but the dot stops the search list. It
// waits for a free slot and for the answer until ctx ends. The error is an [*Error].
func (r *Resolver) Lookup(ctx context.Context, host string, family int) (netip.Addr, error) {
	a, err := r.lookup(ctx, host, family)
	return a, orNil(err)
}

func (r *Resolver) lookup(ctx context.Context, host string, family int) (netip.Addr, *Error) {
	r.init()
	name, err := canonical(host)
	if err != nil {
		return netip.Addr{}, err
	}
	k := key{name, uint8(family)}
	for {
		if a, err, ok := r.cache.get(k); ok {
			return a, err
		}
		f, mine := r.cache.join(k)
		if mine {
			return r.lead(ctx, k, f)
		}
		select {
		case <-f.done:
			if !f.abandoned {
				return f.addr, f.err
			}
		case <-ctx.Done():
			return netip.Addr{}, Classify(ctx.Err(), PhaseResolve)
		}
	}
}

// cached is lookup that never waits; ok is false when the name is not in the cache.
func (r *Resolver) cached(host string, family int) (a netip.Addr, err *Error, ok bool) {
	r.init()
	name, err := canonical(host)
	if err != nil {
		return a, err, true
	}
	return r.cache.get(key{name, uint8(family)})
}

// lead looks k up on behalf of all who wait for f. When it is its own ctx that ends the lookup the
// others must not suffer: they are told to try themselves.
func (r *Resolver) lead(ctx context.Context, k key, f *flight) (netip.Addr, *Error) {
	a, err := r.query(ctx, k)
	f.addr, f.err = a, err
	f.abandoned = err != nil && ctx.Err() != nil
	r.cache.finish(k, f, r.ttl(err))
	return a, err
}

// ttl returns how long an answer is kept.
func (r *Resolver) ttl(err *Error) time.Duration {
	switch {
	case err == nil:
		return orDefault(r.TTL, DefaultTTL)
	case err.Reason == reasonNoHost:
		return orDefault(r.NegativeTTL, DefaultNegativeTTL)
	}
	return 0
}

func (r *Resolver) query(ctx context.Context, k key) (netip.Addr, *Error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return netip.Addr{}, Classify(ctx.Err(), PhaseResolve)
	}
	defer func() { <-r.slots }()
	tctx, cancel := context.WithTimeout(ctx, orDefault(r.Timeout, DefaultLookupTimeout))
	defer cancel()
	first, then := "ip4", "ip6"
	switch k.family {
	case 4:
		then = ""
	case 6:
		first, then = "ip6", ""
	case sixBeforeFour:
		first, then = then, first
	}
	a, e := r.ask(tctx, first, k.host)
	if e == nil || then == "" || e.Reason != reasonNoHost {
		return a, e
	}
	return r.ask(tctx, then, k.host)
}

// sixBeforeFour is the family of those who take an IPv6 address where there is one, else an IPv4 one.
const sixBeforeFour = 64

// ask returns the lowest address of one family.
func (r *Resolver) ask(ctx context.Context, network, host string) (netip.Addr, *Error) {
	as, err := r.std.LookupNetIP(ctx, network, host)
	if err != nil {
		return netip.Addr{}, r.lookupError(err, host)
	}
	return slices.MinFunc(as, netip.Addr.Compare).Unmap(), nil
}

// lookupError classifies what package net says. An address of the other family only, as the
// hosts file may give, is an AddrError there. It names the server of resolv.conf even when
// another was asked.
func (r *Resolver) lookupError(err error, host string) *Error {
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		e := failed(muster.FailDNS, reasonNoHost, false, err)
		e.Detail = "lookup " + host + ": no address of the wanted family"
		return e
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && r.Server != "" {
		named := *e
		named.Server = r.Server
		err = &named
	}
	return Classify(err, PhaseResolve)
}
