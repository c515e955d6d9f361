package dial

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// Headroom returns how many sockets may be open at once to the given number of distinct
// destination addresses and ports, and the resource that sets the limit: ReasonDescriptors or
// ReasonPorts. Each destination has the whole range of local ports to itself; destinations of
// 0 or less means that they are many, so that ports do not count.
func (d *Dialer) Headroom(destinations int) (n int, why string) {
	n = d.state().budget.Max()
	ports := localPorts()
	if destinations > 0 && destinations < math.MaxInt/ports && destinations*ports < n {
		return destinations * ports, ReasonPorts
	}
	return n, ReasonDescriptors
}

// Shortage counts how often a dialer ran short of a local resource, from its start. A growing
// count means that the resource, not a target, holds the job back.
type Shortage struct {
	Descriptors, Ports, Memory uint64
}

// Shortage returns the counts so far.
func (d *Dialer) Shortage() Shortage {
	s := d.state()
	return Shortage{Descriptors: s.budget.Short(), Ports: s.shortPorts.Load(), Memory: s.shortMemory.Load()}
}

// defaultPorts is the size of the range 32768-60999, Linux's default.
const defaultPorts = 28232

// localPorts returns the size of the kernel's range of ephemeral ports.
func localPorts() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return defaultPorts
	}
	return parsePortRange(string(b))
}

func parsePortRange(s string) int {
	f := strings.Fields(s)
	if len(f) != 2 {
		return defaultPorts
	}
	lo, err1 := strconv.Atoi(f[0])
	hi, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil || lo < 1 || hi > math.MaxUint16 || hi < lo {
		return defaultPorts
	}
	return hi - lo + 1
}
