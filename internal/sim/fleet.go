package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"
)

// Fleet describes a simulated fleet. The zero value is a fleet of healthy hosts
// on a free port of every loopback address. A Fleet is only read once started
// and may start several servers.
type Fleet struct {
	// Seed selects the fleet: same seed, same behaviour of every address.
	Seed uint64 `json:"seed,omitzero"`
	// Listen names the plain HTTP listeners: ":8080" is that port on every
	// loopback address (all of 127.0.0.0/8, closed to other machines),
	// "127.1.2.3:8080" or "[::1]:8080" one address, "0.0.0.0:8080" whatever
	// reaches this machine. Port 0 is a free port. Empty is ":0", or no plain
	// listener if another service is named.
	Listen []string `json:"listen,omitzero"`
	// TLS names the TLS listeners in the same form.
	TLS []string `json:"tls,omitzero"`
	// TCP names the listeners of lines of text in the same form, UDP those of the
	// echo, SSH those of commands and files, DNS those of names, GRPC and
	// GRPCTLS those of the health service of gRPC.
	TCP     []string `json:"tcp,omitzero"`
	UDP     []string `json:"udp,omitzero"`
	SSH     []string `json:"ssh,omitzero"`
	DNS     []string `json:"dns,omitzero"`
	GRPC    []string `json:"grpc,omitzero"`
	GRPCTLS []string `json:"grpc_tls,omitzero"`
	// Admin is the address of the admin endpoint; "" is a free loopback port.
	Admin string `json:"admin,omitzero"`
	// CAOut is a file that receives the certificate of the authority that signs
	// the fleet's TLS certificates, in PEM; "" writes none. It depends on
	// the seed alone.
	CAOut string `json:"ca_out,omitzero"`
	// KnownHostsOut is a file that receives the line by which an SSH client knows
	// the fleet; "" writes none. But for the port it depends on the seed alone.
	KnownHostsOut string `json:"known_hosts_out,omitzero"`
	// Mix spreads behaviours over the addresses; empty is ok for all.
	Mix Mix `json:"mix,omitzero"`
	// Rules take precedence over the mix.
	Rules Rules `json:"rules,omitzero"`
	// Body is the template of bodies; zero is [DefaultBody].
	Body Body `json:"body,omitzero"`
	// Versions spreads the versions that bodies report.
	Versions Versions `json:"versions,omitzero"`
	// NoKeepAlive closes every connection after one answer.
	NoKeepAlive bool `json:"no_keep_alive,omitzero"`
	// IdleTimeout closes connections on which no request has arrived for this
	// long; 0 is a minute.
	IdleTimeout time.Duration `json:"idle_timeout,omitzero"`
	// MaxOpen stops accepting while each event loop has this many connections
	// open; 0 is no limit but that of the file descriptors.
	MaxOpen int `json:"max_open,omitzero"`
	// Loops is the number of event loops, each on a thread and a listening
	// socket of its own; 0 is half the processors, so that whoever
	// drives the fleet has the other half.
	Loops int `json:"loops,omitzero"`
	// OnReady is called by Run once all listeners answer; nil is not.
	OnReady func(*Server) `json:"-"`
}

const (
	defaultIdle = time.Minute
	maxLoops    = 64
)

// Validate reports everything that is wrong with the description.
func (f *Fleet) Validate() error {
	var errs []error
	for _, o := range f.openings() {
		if _, err := parseListen(o.addr); err != nil {
			errs = append(errs, err)
		}
	}
	if f.Admin != "" {
		if _, _, err := net.SplitHostPort(f.Admin); err != nil {
			errs = append(errs, fmt.Errorf("admin %q: want host:port: %w", f.Admin, err))
		}
	}
	if f.Loops < 0 || f.Loops > maxLoops {
		errs = append(errs, fmt.Errorf("loops %d: want 0 to %d", f.Loops, maxLoops))
	}
	if f.MaxOpen < 0 || f.IdleTimeout < 0 {
		errs = append(errs, errors.New("max_open and idle_timeout cannot be negative"))
	}
	for _, r := range f.Rules {
		if _, err := parsePattern(r.Addr); err != nil {
			errs = append(errs, fmt.Errorf("rule %q: %w", r, err))
		}
	}
	return errors.Join(append(errs, f.Mix.validate(), f.Versions.validate())...)
}

// Run serves the fleet until ctx ends, and returns nil then, or the error that
// kept it from starting or going on.
func (f *Fleet) Run(ctx context.Context) error {
	s, err := f.Start(ctx)
	if err != nil {
		return err
	}
	if f.OnReady != nil {
		f.OnReady(s)
	}
	return s.Wait()
}

func (f *Fleet) loops() int {
	if f.Loops > 0 {
		return f.Loops
	}
	return min(max(1, runtime.GOMAXPROCS(0)/2), maxLoops)
}

func (f *Fleet) idle() time.Duration {
	if f.IdleTimeout > 0 {
		return f.IdleTimeout
	}
	return defaultIdle
}

// binding is where a listener binds.
type binding struct {
	addr netip.AddrPort
	// loopback keeps a wildcard address closed to other machines.
	loopback bool
}

func parseListen(s string) (binding, error) {
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		return binding{}, fmt.Errorf("listen %q: want host:port or :port: %w", s, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return binding{}, fmt.Errorf("listen %q: port %q is not between 0 and 65535", s, portText)
	}
	if host == "" || host == "127.0.0.0/8" {
		return binding{netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), true}, nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return binding{}, fmt.Errorf("listen %q: want an IP address or nothing before the port: %w", s, err)
	}
	return binding{netip.AddrPortFrom(addr, uint16(port)), false}, nil
}
