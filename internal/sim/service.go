package sim

import (
	"net/netip"
	"slices"
)

// Service names what a listener speaks.
type Service string

// The services of a fleet.
const (
	HTTP    Service = "http"
	TLS     Service = "tls" // HTTP over TLS
	TCP     Service = "tcp" // lines of text
	UDP     Service = "udp" // an echo
	SSH     Service = "ssh"
	DNS     Service = "dns"  // over UDP and TCP, on one port
	GRPC    Service = "grpc" // the health service, in plain text
	GRPCTLS Service = "grpc-tls"
)

// served is a listener and where it is bound.
type served struct {
	service Service
	addr    netip.AddrPort
}

// opening is a listener that is to be bound.
type opening struct {
	service Service
	addr    string // as parseListen reads it
}

// openings are all listeners of the fleet.
func (f *Fleet) openings() []opening {
	var all []opening
	for _, group := range []struct {
		service Service
		addrs   []string
	}{{HTTP, f.Listen}, {TLS, f.TLS}, {TCP, f.TCP}, {UDP, f.UDP}, {SSH, f.SSH}, {DNS, f.DNS}, {GRPC, f.GRPC}, {GRPCTLS, f.GRPCTLS}} {
		for _, addr := range group.addrs {
			all = append(all, opening{group.service, addr})
		}
	}
	if len(all) == 0 {
		return []opening{{HTTP, ":0"}}
	}
	return all
}

// openingsOf are the listeners of some services, in their order.
func (f *Fleet) openingsOf(services ...Service) []opening {
	return slices.DeleteFunc(f.openings(), func(o opening) bool { return !slices.Contains(services, o.service) })
}

// Services are the services of the fleet, each once, in the order of their listeners.
func (s *Server) Services() []Service {
	var all []Service
	for _, sv := range s.served {
		if !slices.Contains(all, sv.service) {
			all = append(all, sv.service)
		}
	}
	return all
}

// ServiceAddrs is where the listeners of a service are bound, in the order given;
// of a listener on every loopback address, at 127.0.0.1.
func (s *Server) ServiceAddrs(service Service) []netip.AddrPort {
	var all []netip.AddrPort
	for _, sv := range s.served {
		if sv.service == service {
			all = append(all, sv.addr)
		}
	}
	return all
}

// ServiceAddr is the first of ServiceAddrs, or invalid without any.
func (s *Server) ServiceAddr(service Service) netip.AddrPort {
	if all := s.ServiceAddrs(service); len(all) > 0 {
		return all[0]
	}
	return netip.AddrPort{}
}
