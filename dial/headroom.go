package dial

import (
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Headroom returns how many sockets may be open at once to the given number of distinct
// destination addresses and ports, and the resource that sets the limit: ReasonDescriptors or
// ReasonPorts. Each destination has the whole range of local ports to itself; destinations of
// 0 or less means that they are many, so that ports do not count.
//
// For a second after ports or kernel memory ran short it is the number of sockets that were open then: more
// could only wait for one of them. The resource then is ReasonPorts or ReasonMemory.
func (d *Dialer) Headroom(destinations int) (n int, why string) {
	s := d.state()
	n, why = s.budget.Max(), ReasonDescriptors
	ports := localPorts()
	if destinations > 0 && destinations < math.MaxInt/ports && destinations*ports < n {
		n, why = destinations*ports, ReasonPorts
	}
	if open, short := s.scarce.last(); short != "" && open < n {
		return open, short
	}
	return n, why
}

// scarcity remembers the last shortage of something that only the kernel counts. The zero value is none.
type scarcity struct {
	mu   sync.Mutex
	at   time.Time
	open int // sockets at that time
	why  string
}

func (s *scarcity) note(open int, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.open, s.why = time.Now(), max(open, 1), why
}

// last returns the last shortage; why is "" when there was none of late.
func (s *scarcity) last() (open int, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" || time.Since(s.at) > regrowAfter {
		return 0, ""
	}
	return s.open, s.why
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
