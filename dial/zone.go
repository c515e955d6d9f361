package dial

import (
	"net"
	"net/netip"
	"strconv"
)

// ZoneIndex returns the index of the interface that an address's zone names, 0 without a zone. The error is an [*Error].
func ZoneIndex(a netip.Addr) (uint32, error) {
	zone := a.Zone()
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, invalid("zone " + zone + " of " + a.String() + ": want the name of an interface: " + err.Error())
	}
	return uint32(ifi.Index), nil
}
