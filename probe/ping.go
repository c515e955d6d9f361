package probe

import (
	"errors"
	"time"

	"github.com/musterhq/muster"
)

// The defaults of a zero [Ping]: those of fping.
const (
	DefaultPingWait     = 500 * time.Millisecond
	DefaultPingTries    = 4
	DefaultPingBackoff  = 1.5
	DefaultPingInterval = time.Second
	DefaultPingSize     = 56
)

const (
	minPingSize = 8     // what recognises a reply
	maxPingSize = 65507 // what fits into an IPv4 packet behind both headers
)

// Ping sends ICMP echo requests to each target. The zero value sends one, and up to three more while no reply comes.
//
// A reply to any of them is ok; its fields are rtt, in milliseconds, ttl, and sent, how many requests it took. With Count
// the fields are sent, received, loss in percent, min, avg, max and stddev in milliseconds, and ttl. The time of
// a result is the round trip, the mean of several, and before that the lookup of a name. Without any reply the result is
// no_reply, or unreachable with the reason that a router gave. A timeout that comes before the last request is sent
// ends the exchange with what has come back.
type Ping struct {
	// Count is how many echo requests are sent, whatever comes back; 0 is one that is repeated until a reply comes, as Tries says.
	Count int `json:"count,omitempty"`
	// Interval is the time from one of Count to the next, unless the reply takes longer; 0 is DefaultPingInterval.
	Interval muster.Duration `json:"interval,omitempty"`
	// Wait is how long a reply may take; 0 is DefaultPingWait.
	Wait muster.Duration `json:"wait,omitempty"`
	// Tries is how often an echo request is sent until there is a reply; 0 is DefaultPingTries, and it must be 0 with Count.
	Tries int `json:"tries,omitempty"`
	// Backoff multiplies Wait from one try to the next; 0 is DefaultPingBackoff.
	Backoff float64 `json:"backoff,omitempty"`
	// Size is the length of the payload in bytes, 8 to 65507; 0 is DefaultPingSize.
	Size int `json:"size,omitempty"`
	// TTL is the time to live of what is sent, 1 to 255; 0 is the system's.
	TTL int `json:"ttl,omitempty"`
	// DontFragment forbids routers, and this machine, to cut what is sent.
	DontFragment bool `json:"dont_fragment,omitempty"`
}

var _ interface {
	Spec
	Traited
} = Ping{}

// Validate reports every problem at once.
func (s Ping) Validate() error {
	var p problems
	p.addIf(s.Count < 0, "count %d: want the number of echo requests", s.Count)
	p.addIf(s.Interval < 0, "interval %v: want a positive duration", s.Interval)
	p.addIf(s.Wait < 0, "wait %v: want a positive duration", s.Wait)
	p.addIf(s.Tries < 0, "tries %d: want how often an echo request is sent", s.Tries)
	p.addIf(s.Count > 0 && s.Tries > 0, "count and tries: with count every echo request is sent once; want one of them")
	p.addIf(s.Backoff != 0 && (s.Backoff < 1 || s.Backoff > 10), "backoff %v: want 1 to 10", s.Backoff)
	p.addIf(s.Size != 0 && (s.Size < minPingSize || s.Size > maxPingSize), "size %d: want %d to %d bytes", s.Size, minPingSize, maxPingSize)
	p.addIf(s.TTL < 0 || s.TTL > 255, "ttl %d: want 1 to 255", s.TTL)
	return errors.Join(p...)
}

// Safe reports that an echo request may be repeated.
func (Ping) Safe() bool { return true }

// Traits name the fields, and give an attempt the time that all of its requests need.
func (s Ping) Traits() Traits {
	s = s.withDefaults()
	longest := time.Duration(s.Count) * max(time.Duration(s.Interval), time.Duration(s.Wait))
	wait := float64(s.Wait)
	for range min(s.Tries, 1000) {
		longest += time.Duration(min(wait, float64(time.Hour)))
		wait *= s.Backoff
	}
	fields := []string{"rtt", "ttl", "sent"}
	if s.Count > 0 {
		fields = []string{"sent", "received", "loss", "min", "avg", "max", "stddev", "ttl"}
	}
	return Traits{Timeout: max(muster.DefaultTimeout, longest+time.Second), SharedSockets: true, Fields: fields}
}

// withDefaults fills in what is zero. Tries is 0 with Count.
func (s Ping) withDefaults() Ping {
	if s.Count == 0 && s.Tries == 0 {
		s.Tries = DefaultPingTries
	}
	if s.Interval == 0 {
		s.Interval = muster.Duration(DefaultPingInterval)
	}
	if s.Wait == 0 {
		s.Wait = muster.Duration(DefaultPingWait)
	}
	if s.Backoff == 0 {
		s.Backoff = DefaultPingBackoff
	}
	if s.Size == 0 {
		s.Size = DefaultPingSize
	}
	return s
}
