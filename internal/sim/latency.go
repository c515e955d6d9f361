package sim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Latency is a distribution of delays. The zero value is no delay. Draws are
// capped at an hour.
type Latency struct {
	shape string // "", "uniform", "exp", "normal", "lognormal"
	a, b  time.Duration
	sigma float64
}

const maxLatency = time.Hour

// ParseLatency reads 50ms (constant), 10ms-2s (uniform), exp(mean),
// normal(mean,deviation) or lognormal(median,sigma).
func ParseLatency(s string) (Latency, error) {
	name, args, isCall := cutCall(s)
	if !isCall {
		return parseSpan(s)
	}
	first, second, _ := strings.Cut(args, ",")
	a, err := parseDelay(first)
	if err != nil {
		return Latency{}, fmt.Errorf("latency %q: %w", s, err)
	}
	l := Latency{shape: name, a: a}
	switch {
	case name == "exp" && second == "":
		return l, nil
	case name == "normal":
		l.b, err = parseDelay(second)
	case name == "lognormal":
		l.sigma, err = strconv.ParseFloat(strings.TrimSpace(second), 64)
		if err == nil && !(l.sigma >= 0 && l.sigma <= 10) {
			err = fmt.Errorf("sigma %v is not between 0 and 10", l.sigma)
		}
	default:
		return Latency{}, fmt.Errorf("latency %q: want 50ms, 10ms-2s, exp(mean), normal(mean,dev) or lognormal(median,sigma)", s)
	}
	if err != nil {
		return Latency{}, fmt.Errorf("latency %q: %w", s, err)
	}
	return l, nil
}

func parseSpan(s string) (Latency, error) {
	low, high, isSpan := strings.Cut(s, "-")
	a, err := parseDelay(low)
	if err != nil {
		return Latency{}, fmt.Errorf("latency %q: %w", s, err)
	}
	if !isSpan {
		return Latency{a: a}, nil
	}
	b, err := parseDelay(high)
	if err != nil {
		return Latency{}, fmt.Errorf("latency %q: %w", s, err)
	}
	if b < a {
		return Latency{}, fmt.Errorf("latency %q: the upper end is below the lower", s)
	}
	return Latency{shape: "uniform", a: a, b: b}, nil
}

func parseDelay(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, err
	}
	if d < 0 || d > maxLatency {
		return 0, fmt.Errorf("%s is not between 0 and %s", d, maxLatency)
	}
	return d, nil
}

// String is the form that [ParseLatency] reads back.
func (l Latency) String() string {
	switch l.shape {
	case "uniform":
		return l.a.String() + "-" + l.b.String()
	case "exp":
		return "exp(" + l.a.String() + ")"
	case "normal":
		return "normal(" + l.a.String() + "," + l.b.String() + ")"
	case "lognormal":
		return "lognormal(" + l.a.String() + "," + strconv.FormatFloat(l.sigma, 'g', -1, 64) + ")"
	}
	return l.a.String()
}

// at is the delay that two uniform draws in [0, 1) select. Normal deviates come
// from the Box-Muller transform.
func (l Latency) at(u, v float64) time.Duration {
	var d float64
	switch l.shape {
	case "uniform":
		d = float64(l.a) + u*float64(l.b-l.a)
	case "exp":
		d = -float64(l.a) * math.Log(1-u)
	case "normal":
		d = float64(l.a) + float64(l.b)*gauss(u, v)
	case "lognormal":
		d = float64(l.a) * math.Exp(l.sigma*gauss(u, v))
	default:
		return l.a
	}
	return time.Duration(min(max(d, 0), float64(maxLatency)))
}

func gauss(u, v float64) float64 {
	return math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
}
