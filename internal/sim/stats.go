package sim

import (
	"net/netip"
	"time"
)

// Stats is what a fleet has served since its start or the last reset.
type Stats struct {
	Requests    uint64 `json:"requests"`    // complete requests, lines and datagrams, answered or not
	Connections uint64 `json:"connections"` // accepted
	Rejected    uint64 `json:"rejected"`    // answered 400 or 431
	Aborted     uint64 `json:"aborted"`     // connections the client left in mid-exchange
	BytesSent   uint64 `json:"bytes_sent"`
	BytesRead   uint64 `json:"bytes_read"`
	// ByProfile counts requests by behaviour, or connections for what shows
	// before a request, as the banner of a TCP listener does.
	ByProfile map[string]uint64 `json:"by_profile"`
	// DistinctAddresses is how many address and port pairs a client connected to.
	DistinctAddresses int     `json:"distinct_addresses"`
	MaxHitsPerAddress uint32  `json:"max_hits_per_address"`
	MaxOpenPerAddress uint32  `json:"max_open_per_address"` // most connections of one address at once
	Open              int64   `json:"open"`                 // connections now
	PeakOpen          int64   `json:"peak_open"`
	AcceptPauses      uint64  `json:"accept_pauses"` // times accepting stopped for want of descriptors
	Loops             int     `json:"loops"`
	CPUSeconds        float64 `json:"cpu_seconds"`         // of the event loops
	ProcessCPUSeconds float64 `json:"process_cpu_seconds"` // of the whole process
	// IdlePercent is the share of the event loops' time that they did not
	// compute. Near zero, the fleet was what limited the measurement.
	IdlePercent float64 `json:"idle_percent"`
	Uptime      float64 `json:"uptime"` // seconds since the last reset
}

// Hits is what one address has seen since the last reset.
type Hits struct {
	Addr        netip.AddrPort `json:"addr"`
	Requests    uint32         `json:"requests"`
	Connections uint32         `json:"connections"`
	Open        uint32         `json:"open"`
	PeakOpen    uint32         `json:"peak_open"`
	BytesSent   uint64         `json:"bytes_sent"` // of closed connections
}

// cpuBase is processor time up to some moment.
type cpuBase struct {
	loops   time.Duration
	n       int // loops that can tell
	process time.Duration
}

func (s *Server) cpuNow() cpuBase {
	b := cpuBase{process: processCPU()}
	for _, e := range s.engine {
		if d, ok := e.cpu(); ok {
			b.loops += d
			b.n++
		}
	}
	return b
}

// Stats is a snapshot of the counters. Without event loops, the processor time
// is that of the process.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	since, base := s.since, s.base
	s.mu.Unlock()
	g, now := &s.gauge, s.cpuNow()
	wall := time.Since(since).Seconds()
	st := Stats{
		Requests: g.requests.Load(), Connections: g.conns.Load(), Rejected: g.rejected.Load(),
		Aborted: g.aborted.Load(), BytesSent: g.sent.Load(), BytesRead: g.received.Load(),
		ByProfile: s.ledger.totals(), Open: g.open.Load(), PeakOpen: g.peak.Load(),
		AcceptPauses: g.pauses.Load(), Loops: now.n, Uptime: wall,
		ProcessCPUSeconds: (now.process - base.process).Seconds(),
	}
	st.DistinctAddresses, st.MaxHitsPerAddress, st.MaxOpenPerAddress = s.tally.sum()
	st.CPUSeconds = (now.loops - base.loops).Seconds()
	if now.n == 0 {
		st.CPUSeconds = st.ProcessCPUSeconds
	}
	if wall > 0 {
		st.IdlePercent = max(0, 100*(1-st.CPUSeconds/(float64(max(1, now.n))*wall)))
	}
	return st
}

// Hits is what one address has seen; zero counts if it saw nothing.
func (s *Server) Hits(addr netip.AddrPort) Hits {
	ep := newEndpoint(addr)
	return hitsOf(ep.addr, s.tally.get(ep.key))
}

// EachHits calls yield for every address that was connected to, in no order.
// It may be used as an iterator.
func (s *Server) EachHits(yield func(Hits) bool) {
	for addr, c := range s.tally.each {
		if (c.requests > 0 || c.conns > 0) && !yield(hitsOf(addr, c)) {
			return
		}
	}
}

func hitsOf(addr netip.AddrPort, c count) Hits {
	return Hits{
		Addr: addr, Requests: c.requests, Connections: c.conns,
		Open: c.open, PeakOpen: c.peak, BytesSent: c.bytes,
	}
}

// Reset zeroes the counters. Connections that are open stay counted as open.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.gauge
	g.requests.Store(0)
	g.conns.Store(0)
	g.rejected.Store(0)
	g.aborted.Store(0)
	g.pauses.Store(0)
	g.sent.Store(0)
	g.received.Store(0)
	g.peak.Store(g.open.Load())
	s.tally.reset()
	s.ledger.reset()
	s.since, s.base = time.Now(), s.cpuNow()
}
