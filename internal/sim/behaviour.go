package sim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind names what an address does with a request; the package comment lists
// the kinds.
type Kind string

// The kinds of behaviour.
const (
	OK          Kind = "ok"
	Status      Kind = "status"
	Reset       Kind = "reset"
	Hang        Kind = "hang"
	HangBody    Kind = "hang-body"
	Drip        Kind = "drip"
	Garbage     Kind = "garbage"
	Oversized   Kind = "oversized"
	Endless     Kind = "endless"
	CloseEarly  Kind = "close-early"
	CloseBefore Kind = "close-before"
	Conflict    Kind = "conflict"
	Chunked     Kind = "chunked"
	Redirect    Kind = "redirect"
	Flaky       Kind = "flaky"
	Warmup      Kind = "warmup"
	Once        Kind = "once"
)

// Behaviour is what an address does. The zero value answers 200 at once. Its
// text form, used in JSON too, is the one [ParseBehaviour] reads.
type Behaviour struct {
	Kind    Kind    // "" is OK
	Delay   Latency // before the first byte, or before the fault
	Version string  // overrides the address's version in bodies; "" does not

	Status   int           // of Status; of the failing answers of Flaky and Warmup
	Where    string        // "accept", "handshake", "login", "body", "chunked", "head", "id", "question", "loop" or a URL, by kind
	Size     int64         // bytes, of Garbage and Oversized
	Interval time.Duration // between bytes, of Drip
	Share    float64       // of failing requests, of Flaky
	Count    int           // of failing requests, of Warmup
}

// ParseBehaviour reads one behaviour, such as "hang", "status:503" or
// "slow:10ms-2s+drip:100ms". At most one part may be something else than slow
// or version.
func ParseBehaviour(s string) (Behaviour, error) {
	b := Behaviour{}
	parts := splitTop(s, '+')
	if len(parts) == 0 {
		parts = []string{""} // which add explains
	}
	for _, part := range parts {
		if err := b.add(part); err != nil {
			return Behaviour{}, fmt.Errorf("behaviour %q: %w", s, err)
		}
	}
	if b.Kind == "" {
		b.Kind = OK
	}
	return b, nil
}

func (b *Behaviour) add(part string) (err error) {
	name, arg := cutArg(strings.TrimSpace(part))
	switch name {
	case "slow":
		b.Delay, err = ParseLatency(arg)
		return err
	case "version":
		if arg == "" || strings.ContainsAny(arg, "\"\\ \t\r\n+=,;*()#") {
			return fmt.Errorf("version %q: want a plain word", arg)
		}
		b.Version = arg
		return nil
	case "":
		return errors.New("empty; want a name such as ok, slow:50ms or status:503")
	}
	if b.Kind != "" {
		return fmt.Errorf("%s and %s exclude each other", b.Kind, name)
	}
	b.Kind = Kind(name)
	return b.argument(arg)
}

// argument reads what follows the name of the kind.
func (b *Behaviour) argument(arg string) (err error) {
	switch b.Kind {
	case OK, HangBody, CloseEarly, Chunked, Once:
		return b.where(arg)
	case Status:
		b.Status, err = parseStatus(arg)
	case Reset:
		return b.where(arg, "accept", "handshake", "login", "body")
	case Hang, CloseBefore:
		return b.where(arg, "accept", "handshake", "login")
	case Endless:
		return b.where(arg, "chunked", "head")
	case Conflict:
		return b.where(arg, "chunked", "id", "question")
	case Redirect:
		b.Where = arg
		if strings.ContainsAny(arg, "+=,;*()# \t\r\n") {
			err = fmt.Errorf("redirect %q: percent-encode +=,;*()# and white space", arg)
		}
	case Drip:
		b.Interval = time.Second
		if arg != "" {
			b.Interval, err = parseDelay(arg)
		}
		if err == nil && b.Interval < time.Millisecond {
			err = errors.New("the interval of a drip is at least 1ms")
		}
	case Garbage:
		b.Size, err = parseSize(arg, 512, 1<<20)
	case Oversized:
		b.Size, err = parseSize(arg, 16<<20, math.MaxInt64)
	case Flaky, Warmup:
		return b.failing(arg)
	default:
		return fmt.Errorf("unknown name %q; want one of %s", string(b.Kind), kindNames)
	}
	return err
}

const kindNames = "ok status slow reset hang hang-body drip garbage oversized endless close-early " +
	"close-before conflict chunked redirect flaky warmup once version"

func (b *Behaviour) where(arg string, allowed ...string) error {
	for _, a := range allowed {
		if arg == a {
			b.Where = arg
		}
	}
	if b.Where != arg {
		return fmt.Errorf("%s takes no argument %q; want one of %q", b.Kind, arg, allowed)
	}
	return nil
}

// failing reads the argument of Flaky (share[,status]) and Warmup (count[,status]).
func (b *Behaviour) failing(arg string) (err error) {
	first, status, hasStatus := strings.Cut(arg, ",")
	b.Status = 503
	if hasStatus {
		if b.Status, err = parseStatus(status); err != nil {
			return err
		}
	}
	if b.Kind == Flaky {
		b.Share, err = strconv.ParseFloat(first, 64)
		if err != nil || !(b.Share >= 0 && b.Share <= 1) {
			return fmt.Errorf("share %q is not a number between 0 and 1", first)
		}
		return nil
	}
	b.Count, err = strconv.Atoi(first)
	if err != nil || b.Count < 0 {
		return fmt.Errorf("count %q is not a whole number", first)
	}
	return nil
}

func parseStatus(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 999 {
		return 0, fmt.Errorf("status %q is not between 0 and 999", s)
	}
	return n, nil
}

// parseSize reads a byte count with an optional binary suffix k, M or G.
func parseSize(s string, preset, limit int64) (int64, error) {
	if s == "" {
		return preset, nil
	}
	digits, shift := s, 0
	switch s[len(s)-1] {
	case 'k', 'K':
		shift = 10
	case 'm', 'M':
		shift = 20
	case 'g', 'G':
		shift = 30
	}
	if shift > 0 {
		digits = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > limit>>shift {
		return 0, fmt.Errorf("size %q is not between 1 and %d bytes (suffixes k, M, G)", s, limit)
	}
	return n << shift, nil
}

// onAccept reports whether the behaviour shows before a request is read.
func (b *Behaviour) onAccept() bool { return b.Where == "accept" }
