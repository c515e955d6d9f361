package probe

import (
	"math"
	"time"

	"github.com/musterhq/muster"
)

// pingStats are the round trips of one exchange.
type pingStats struct {
	n        int
	min, max time.Duration
	sum      float64 // of milliseconds
	squares  float64
}

func (s *pingStats) add(d time.Duration) {
	if s.n == 0 || d < s.min {
		s.min = d
	}
	s.max = max(s.max, d)
	s.n++
	ms := millis(d)
	s.sum += ms
	s.squares += ms * ms
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// mean returns the mean round trip; there must be one.
func (s *pingStats) mean() time.Duration {
	return time.Duration(s.sum / float64(s.n) * float64(time.Millisecond))
}

// smallNumbers are boxed once: nearly all exchanges have few requests and one of few times to live.
var smallNumbers = func() (boxed [256]any) {
	for i := range boxed {
		boxed[i] = float64(i)
	}
	return boxed
}()

func number(n int) any {
	if n >= 0 && n < len(smallNumbers) {
		return smallNumbers[n]
	}
	return float64(n)
}

// reply returns the fields of an exchange that ended with its first reply: to which of the requests, and when.
func (s *pingStats) reply(sent, ttl int) []muster.Field {
	fs := []muster.Field{{Name: "rtt", Value: rounded(millis(s.min))}, {Name: "ttl", Value: number(ttl)}, {Name: "sent", Value: number(sent)}}
	if ttl == 0 {
		fs[1].Value = nil
	}
	return fs
}

// count returns the fields of one with a count: loss in percent, round trips in milliseconds, nil without any reply.
func (s *pingStats) count(sent, ttl int) []muster.Field {
	loss := 100 * float64(sent-s.n) / float64(max(sent, 1))
	fs := []muster.Field{
		{Name: "sent", Value: number(sent)},
		{Name: "received", Value: number(s.n)},
		{Name: "loss", Value: math.Round(loss*100) / 100},
		{Name: "min"},
		{Name: "avg"},
		{Name: "max"},
		{Name: "stddev"},
		{Name: "ttl"},
	}
	if s.n == 0 {
		return fs
	}
	mean := s.sum / float64(s.n)
	fs[3].Value, fs[4].Value, fs[5].Value = rounded(millis(s.min)), rounded(mean), rounded(millis(s.max))
	fs[6].Value = rounded(math.Sqrt(max(0, s.squares/float64(s.n)-mean*mean)))
	if ttl > 0 {
		fs[7].Value = number(ttl)
	}
	return fs
}

// rounded keeps microseconds.
func rounded(ms float64) any { return math.Round(ms*1000) / 1000 }
