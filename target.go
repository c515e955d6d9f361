package muster

import (
	"context"
	"net/netip"
)

// Target is one endpoint of a job. It is a value: whoever receives one may keep
// it, and must not change its maps, which rows of one list may share.
type Target struct {
	// Index is the target's number in the frozen list, from 0.
	Index int
	// ID names the target stably: the row's own id, else the canonical
	// scheme, host, port and path of the target, default ports dropped.
	ID string
	// Scheme is the target's own scheme; "" leaves it to the action.
	Scheme string
	// Host is a name or an IP literal without brackets (a zone is allowed).
	Host string
	// Addr is the parsed Host when Host is an IP literal, else the zero value.
	Addr netip.Addr
	// Port is the target's own port; 0 leaves it to the action.
	Port uint16
	// Path is the path and query of a target given as a URL; "" otherwise. An
	// action with a path of its own replaces it.
	Path string
	// Labels select and group targets; nil when there are none.
	Labels map[string]string
	// Vars are what templates may name; nil when there are none.
	Vars map[string]string
	// Off marks a row that switched itself off: it is counted, never sent.
	Off bool
}

// List is a job's frozen targets. It is a computation over ranges or a spool on
// disk rather than a slice, so that a million targets cost no memory to speak of.
// Implementations are immutable and safe for concurrent use.
type List interface {
	// Len returns the number of targets.
	Len() int
	// At returns target i, 0 <= i < Len. An error is the defect of that row
	// alone: the target ends [Invalid], with its ID as far as it is known.
	At(i int) (Target, error)
	// Hash identifies the content and order of the list.
	Hash() [32]byte
}

// Prober does one exchange with one target. Probe blocks until the exchange is
// over, ctx ends, or the action's own timeout has passed; it must be safe for
// concurrent use. What goes wrong with the target is data inside the Result; of
// the Result it fills all but Index, Target and Attempts, which the engine owns.
type Prober interface {
	Probe(ctx context.Context, t Target) Result
}

// ProberFunc makes a function a [Prober].
type ProberFunc func(ctx context.Context, t Target) Result

// Probe calls f.
func (f ProberFunc) Probe(ctx context.Context, t Target) Result { return f(ctx, t) }

// BatchProber is a Prober that also drives many exchanges at once over its own
// event loop, fed without blocking by the engine's credits.
type BatchProber interface {
	Prober
	// Batchable reports whether the exchange with t fits the event loop;
	// other targets go through Probe.
	Batchable(t Target) bool
	// ProbeBatch takes targets from f and reports each exactly once through
	// f.Done until f.Next says that no more will come and all it took have
	// been reported. When ctx ends it aborts what is in flight, reports
	// those as [Canceled], and returns. It may be called several times
	// concurrently, with one feed each.
	ProbeBatch(ctx context.Context, f Feed)
}

// Feed hands targets to one event loop of a [BatchProber]. Its methods are called by
// that loop's goroutine only, and never block.
type Feed interface {
	// Next returns the next target to start. ok is false when none may start
	// now; more is false when none will ever come.
	Next() (t Target, ok, more bool)
	// Done reports the end of one exchange of target t.
	Done(t Target, r Result)
	// Flush is called once per turn of the loop, before it sleeps; results may wait until then.
	Flush()
	// Notify registers the function that wakes the loop (callable from any
	// goroutine, must not block) when Next may have become possible again.
	Notify(wake func())
}

// Sink takes results. Write keeps nothing of rs after it returns; calls do not overlap.
// Close ends the sink and reports what could not be delivered.
type Sink interface {
	Write(ctx context.Context, rs []Result) error
	Close() error
}
