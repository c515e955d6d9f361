package muster

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// The defaults of a zero [Plan].
const (
	// DefaultTimeout bounds one attempt, queueing excluded.
	DefaultTimeout = 10 * time.Second
	// DefaultConnectTimeout bounds the connect phase of one attempt.
	DefaultConnectTimeout = 3 * time.Second
	// DefaultPerHost caps the attempts under way on one host.
	DefaultPerHost = 100
	// DefaultBackoff is the mean pause before the first retry; it doubles with each further one.
	DefaultBackoff = 500 * time.Millisecond
	// MaxBackoff caps the pause before a retry.
	MaxBackoff = 30 * time.Second
)

// Plan is how an action is spread over the targets. The zero value is valid: adaptive
// concurrency, no rate, no error budget, no retries, the given order, and the default timeouts.
type Plan struct {
	// Fanout caps the attempts under way; 0 leaves it to the adaptive limit alone.
	Fanout int `json:"fanout,omitempty"`
	// FanoutFixed switches the adaptive limit off: exactly Fanout, whatever happens.
	FanoutFixed bool `json:"fanout_fixed,omitempty"`
	// Rate caps attempts per second; 0 is no cap.
	Rate float64 `json:"rate,omitempty"`
	// PerHost caps attempts under way on one host; 0 is DefaultPerHost, negative is no cap.
	PerHost int `json:"per_host,omitempty"`
	// PerGroup caps attempts under way on the targets that share a label's value.
	PerGroup []GroupCap `json:"per_group,omitempty"`
	// Batches are successive window widths; the last repeats. Empty is one window over all.
	Batches []Size `json:"batches,omitempty"`
	// Canary is a seeded sample that runs first; zero is none.
	Canary Size `json:"canary,omitzero"`
	// CanaryMaxErrors is how many failures of the canary are tolerated.
	CanaryMaxErrors int `json:"canary_max_errors,omitempty"`
	// MaxErrors is the error budget: the job stops at one failure more. Nil is unlimited.
	MaxErrors *Size `json:"max_errors,omitempty"`
	// SoftErrors gives up exactness of the budget for speed: in flight is not bounded by it.
	SoftErrors bool `json:"soft_errors,omitempty"`
	// Retries is how many further attempts a transient failure gets.
	Retries int `json:"retries,omitempty"`
	// Backoff is the mean pause before the first retry; 0 is DefaultBackoff.
	Backoff Duration `json:"backoff,omitempty"`
	// Repeat says whether an attempt may be repeated; "" leaves it to the action.
	Repeat Repeat `json:"repeat,omitempty"`
	// Timeout bounds one attempt; 0 is DefaultTimeout.
	Timeout Duration `json:"timeout,omitempty"`
	// ConnectTimeout bounds the connect phase; 0 is DefaultConnectTimeout.
	ConnectTimeout Duration `json:"connect_timeout,omitempty"`
	// Deadline bounds the whole job from its start; 0 is none.
	Deadline Duration `json:"deadline,omitempty"`
	// Shuffle runs the targets in an order permuted by Seed instead of the given one.
	Shuffle bool `json:"shuffle,omitempty"`
	// Seed makes shuffle and canary repeatable.
	Seed uint64 `json:"seed,omitempty"`
	// Source is the local address of every socket; "" lets the kernel choose.
	Source string `json:"source,omitempty"`
	// Allow and Deny are prefixes of the target policy, on top of the built-in denials.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	// Family restricts name resolution: 4, 6, or 0 for either.
	Family int `json:"family,omitempty"`
	// Prefer is the family, 4 or 6, to take of a name that has addresses of both; 0 is 4.
	Prefer int `json:"prefer,omitempty"`
}

// GroupCap is one cap per value of a label.
type GroupCap struct {
	Label string `json:"label"`
	Max   int    `json:"max"`
}

// Repeat says what a second attempt on the same target may do.
type Repeat string

// The repeat modes.
const (
	// RepeatSafe allows a second attempt: the action only looks.
	RepeatSafe Repeat = "safe"
	// RepeatNever forbids it: the action is reserved durably before it starts, and
	// tried again only while no byte of it was sent.
	RepeatNever Repeat = "never"
)

// Validate reports every problem of the plan at once.
func (p *Plan) Validate() error {
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, Errorf(KindInvalid, format, args...))
		}
	}
	bad(p.Fanout < 0, "fanout %d: want 1 or more, or auto", p.Fanout)
	bad(p.FanoutFixed && p.Fanout == 0, "fanout !: a fixed fanout needs a number, as in 200!")
	bad(p.Rate < 0 || math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0), "rate %v: want attempts per second", p.Rate)
	bad(p.Retries < 0, "retries %d: want 0 or more", p.Retries)
	bad(p.Timeout < 0, "timeout %v: want a positive duration", p.Timeout)
	bad(p.ConnectTimeout < 0, "connect timeout %v: want a positive duration", p.ConnectTimeout)
	bad(p.Deadline < 0, "deadline %v: want a positive duration", p.Deadline)
	bad(p.Backoff < 0, "backoff %v: want a positive duration", p.Backoff)
	bad(p.Repeat != "" && p.Repeat != RepeatSafe && p.Repeat != RepeatNever, "repeat %q: want safe or never", p.Repeat)
	bad(p.Family != 0 && p.Family != 4 && p.Family != 6, "address family %d: want 4 or 6", p.Family)
	bad(p.Prefer != 0 && p.Prefer != 4 && p.Prefer != 6, "preferred address family %d: want 4 or 6", p.Prefer)
	for _, g := range p.PerGroup {
		bad(g.Label == "" || g.Max < 1, "per-group %s=%d: want LABEL=N with N of 1 or more", g.Label, g.Max)
	}
	return errors.Join(errs...)
}

// TimeoutOr returns the attempt's bound, or its default.
func (p *Plan) TimeoutOr() time.Duration { return or(time.Duration(p.Timeout), DefaultTimeout) }

// ConnectTimeoutOr returns the connect phase's bound, or its default.
func (p *Plan) ConnectTimeoutOr() time.Duration {
	return or(time.Duration(p.ConnectTimeout), DefaultConnectTimeout)
}

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Size is a number of targets: absolute, or a share of all. The zero value is
// none. Its text is "5" or "20%".
type Size struct {
	N       int
	Percent float64
}

// ParseSize reads "5" or "12.5%".
func ParseSize(s string) (Size, error) {
	if p, ok := strings.CutSuffix(s, "%"); ok {
		f, err := strconv.ParseFloat(p, 64)
		if err != nil || !(f >= 0 && f <= 100) {
			return Size{}, Errorf(KindInvalid, "%q: want a percentage from 0%% to 100%%", s)
		}
		return Size{Percent: f}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return Size{}, Errorf(KindInvalid, "%q: want a number such as 5 or a percentage such as 20%%", s)
	}
	return Size{N: n}, nil
}

// Of returns the size as a number of n targets; percentages are rounded down.
func (s Size) Of(n int) int {
	if s.Percent > 0 {
		// The small addend undoes the binary rounding of shares such as 0.07*100.
		return int(math.Floor(float64(n)*s.Percent/100 + 1e-9))
	}
	return s.N
}

// String returns the text form.
func (s Size) String() string {
	if s.Percent > 0 {
		return strconv.FormatFloat(s.Percent, 'g', -1, 64) + "%"
	}
	return strconv.Itoa(s.N)
}

// MarshalText returns the text form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text form.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

// Duration is a [time.Duration] whose text is Go's: "1m30s".
type Duration time.Duration

// String returns the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText returns the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return Errorf(KindInvalid, "duration %q: want a number with a unit such as 500ms, 10s or 1m30s", b)
	}
	*d = Duration(v)
	return nil
}
