package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// Spec is a probe as it is written down.
type Spec interface {
	// Validate reports every problem that can be seen without a target, at once.
	Validate() error
	// Safe reports whether the exchange only looks, so that it may be repeated.
	Safe() bool
	// Prober compiles the spec. The error is of kind invalid and names the parameter.
	Prober(env Env) (muster.Prober, error)
}

// Traits are what a kind of probe says of itself beyond its parameters. The zero value is the usual.
type Traits struct {
	// Timeout bounds one attempt unless the plan does; 0 is [muster.DefaultTimeout].
	Timeout time.Duration
	// Fanout caps the attempts under way unless the plan does, for probes that cost this machine a lot
	// each; 0 leaves it to the adaptive limit.
	Fanout int
	// Fields names the fields that the probe puts into results by itself; conditions and rules may use
	// them. Of names with dots ("perf.load1") the part before the first is enough.
	Fields []string
	// SharedSockets says that attempts share few sockets, so that neither descriptors nor local
	// ports bound how many are under way.
	SharedSockets bool
}

// Traited is a [Spec] whose [Traits] are not zero.
type Traited interface {
	Traits() Traits
}

// TraitsOf returns the traits of s.
func TraitsOf(s Spec) Traits {
	if t, ok := s.(Traited); ok {
		return t.Traits()
	}
	return Traits{}
}

// Env is what a running process gives to a probe. The zero value works.
type Env struct {
	// Dialer opens every socket; nil is a zero [dial.Dialer].
	Dialer *dial.Dialer
	// Timeout bounds one attempt; 0 is [muster.DefaultTimeout].
	Timeout time.Duration
	// ConnectTimeout bounds its connect phase; 0 is [muster.DefaultConnectTimeout].
	ConnectTimeout time.Duration
	// Repeat says whether the probe may by itself send a request again that a kept-alive
	// connection lost; "" leaves it to the spec's Safe.
	Repeat muster.Repeat
	// KeepHeaders names response headers that are kept on top of the spec's, in any case;
	// "*" is all. A judge needs them.
	KeepHeaders []string
	// DiscardBody drops the bodies of answers, which are still read, checked and held
	// against the limit: for jobs in which nobody looks at them.
	DiscardBody bool
	// Secret resolves references such as "env:NAME"; nil refuses specs with secrets.
	Secret func(ref string) (muster.Secret, error)
	// AcceptedHosts is the path of the file with the SSH host keys that were trusted on first use, unless the spec
	// names one; "" keeps none.
	AcceptedHosts string
	// ReuseHint says that many requests go to few servers, so that connections
	// are worth keeping. The prober then is an [io.Closer] whose Close ends the idle ones.
	ReuseHint bool
}

// Checker finds a target's defects without sending anything.
type Checker interface {
	// Check reports why t would end invalid; nil when it would be sent.
	Check(t *muster.Target) error
}

// Previewer shows what would be sent.
type Previewer interface {
	// Preview returns the exchange with t as text, secrets redacted.
	Preview(t *muster.Target) (string, error)
}

// Registry holds the empty spec of each kind, by name.
type Registry map[string]func() Spec

// Kinds returns the kinds of probes that exist.
func Kinds() Registry {
	return Registry{
		"async": func() Spec { return &Async{} },
		"dns":   func() Spec { return &DNS{} },
		"exec":  func() Spec { return &Exec{} },
		"grpc":  func() Spec { return &GRPC{} },
		"http":  func() Spec { return &HTTP{} },
		"ping":  func() Spec { return &Ping{} },
		"tcp":   func() Spec { return &TCP{} },
		"tls":   func() Spec { return &Handshake{} },
		"udp":   func() Spec { return &UDP{} },
		"ssh":   func() Spec { return &SSH{} },
		"copy":  func() Spec { return &Copy{} },
		"ws":    func() Spec { return &WebSocket{} },
	}
}

// Names returns the registered kinds, sorted.
func (reg Registry) Names() []string { return slices.Sorted(maps.Keys(reg)) }

// Decode reads the parameters of a probe of the given kind and validates them. Empty parameters are the
// kind's zero value. An unknown parameter is an error that names it.
func Decode(kind string, with json.RawMessage) (Spec, error) { return Kinds().Decode(kind, with) }

// Decode is [Decode] over the kinds of the registry.
func (reg Registry) Decode(kind string, with json.RawMessage) (Spec, error) {
	empty, ok := reg[kind]
	if !ok {
		return nil, muster.Errorf(muster.KindInvalid, "probe %q: want one of %s", kind, strings.Join(reg.Names(), ", "))
	}
	spec := empty()
	if len(bytes.TrimSpace(with)) > 0 {
		if err := decodeStrict(with, spec); err != nil {
			return nil, muster.Errorf(muster.KindInvalid, "probe %s: %w", kind, err)
		}
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	return spec, nil
}

func decodeStrict(with []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(with))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return muster.Errorf(muster.KindInvalid, "unknown parameter %s", name)
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return muster.Errorf(muster.KindInvalid, "parameters go on after their end")
	}
	return nil
}

// withDefaults fills in what is zero.
func (e Env) withDefaults(safe bool) Env {
	if e.Dialer == nil {
		e.Dialer = new(dial.Dialer)
	}
	if e.Timeout == 0 {
		e.Timeout = muster.DefaultTimeout
	}
	if e.ConnectTimeout == 0 {
		e.ConnectTimeout = muster.DefaultConnectTimeout
	}
	if e.Repeat == "" {
		e.Repeat = muster.RepeatNever
		if safe {
			e.Repeat = muster.RepeatSafe
		}
	}
	return e
}
