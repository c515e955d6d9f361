package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

// Recorder takes down one job. It is a [muster.Sink] that never fails a run: when the
// store does, results go to a spill file, and [Recorder.Health] says so. It is safe for concurrent use.
type Recorder struct {
	s       *Store // nil when there is no store to begin with
	cfg     Config
	id      string
	targets int
	keeps   muster.SaveBodies
	owner   string

	mu        sync.Mutex // guards what follows, and orders the writes
	num       int64
	counts    Counts
	places    []uint32 // by target: place of its result plus 1, or 0
	enc       *segmentEncoder
	known     map[bodyHash]struct{} // large bodies that this job's segments name
	segments  int
	reserved  int // rows
	bytes     int64
	spill     spill
	spilled   int
	dropped   int   // results that nothing took
	cause     error // first failure of the store
	finished  bool
	unlocated bool // a place did not fit; the job gets no locator
}

var _ muster.Sink = (*Recorder)(nil)

const (
	// maxReserve is the most targets of one Reserve.
	maxReserve = 64
	// placeBits are the bits of a row number within a place.
	placeBits = 10
	// maxKnown bounds the large bodies that a recorder remembers.
	maxKnown = 1 << 14
)

func newRecorder(cfg Config, job *muster.Job, targets int) *Recorder {
	r := &Recorder{
		cfg: cfg, id: job.ID, targets: targets, keeps: job.Spec.SaveBodies,
		places: make([]uint32, targets), known: map[bodyHash]struct{}{},
	}
	r.counts.Ledger.Targets = targets
	r.spill = spill{cfg: cfg, id: job.ID}
	return r
}

// Detached returns a recorder without a store: it spills from the start. It is for a job
// whose store could not be opened; cause is what Health reports.
func Detached(cfg Config, job *muster.Job, targets int, cause error) *Recorder {
	r := newRecorder(cfg, job, targets)
	r.cause = cause
	return r
}

// Write stores rs, which must be of targets in the list, and returns when they would
// survive the death of the process, in the store or in the spill file; it waits for other
// processes no longer than the busy timeout. A target's first result stands: later
// ones are dropped. The end of ctx does not stop it. The only error is a result that cannot be of this job.
func (r *Recorder) Write(ctx context.Context, rs []muster.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rs {
		if err := r.check(&rs[i]); err != nil {
			return err
		}
	}
	if r.finished {
		return muster.Errorf(muster.KindConflict, "write to job %s: it is finished", r.id)
	}
	rs = r.fresh(rs)
	if len(rs) == 0 {
		return nil
	}
	for i := range rs {
		r.counts.add(&rs[i])
	}
	if r.cause == nil {
		r.cause = r.store(ctx, rs)
	}
	if r.cause != nil {
		r.spillAll(rs)
	}
	return nil
}

func (r *Recorder) check(res *muster.Result) error {
	switch {
	case res.Index < 0 || res.Index >= r.targets:
		return muster.Errorf(muster.KindInvalid, "write to job %s: target %d of %d", r.id, res.Index, r.targets)
	case res.Outcome == 0 || int(res.Outcome) >= muster.NumOutcomes || int(res.Failure) >= muster.NumFailures:
		return muster.Errorf(muster.KindInvalid, "write to job %s: target %d has no outcome", r.id, res.Index)
	}
	return nil
}

// placed marks a target whose result has no place in a segment.
const placed = ^uint32(0)

// fresh returns the results of targets that had none, and marks these.
func (r *Recorder) fresh(rs []muster.Result) []muster.Result {
	copied := false
	n := 0
	for i := range rs {
		seen := r.places[rs[i].Index] != 0
		if seen && !copied {
			rs, copied = slices.Clone(rs), true
		}
		if seen {
			continue
		}
		r.places[rs[i].Index] = placed
		if copied {
			rs[n] = rs[i]
		}
		n++
	}
	return rs[:n]
}

// store writes rs in one transaction, with the counts that include them.
func (r *Recorder) store(ctx context.Context, rs []muster.Result) error {
	segs, large := r.encode(rs)
	text, err := r.counts.encode()
	if err != nil {
		return err
	}
	bytes := r.bytes
	err = r.s.write(context.WithoutCancel(ctx), false, func(t *tx) error {
		if err := r.own(t); err != nil {
			return err
		}
		bytes = r.bytes
		for i := range segs {
			n, err := r.insert(t, r.segments+i, &segs[i], large[i])
			if err != nil {
				return err
			}
			bytes += n
		}
		_, err := t.exec(sqlProgress, r.segments+len(segs), bytes, text, r.num)
		return err
	})
	if err != nil {
		return r.s.failed("write to", err)
	}
	r.bytes = bytes
	r.place(rs, segs)
	return nil
}

// errTaken says that another process holds the job to be its own, or that it was deleted.
var errTaken = errors.New("the job was closed or deleted by another process")

func (r *Recorder) now() int64 { return r.cfg.now().UnixNano() }

// now returns the clock's time.
func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

type packedBody struct {
	hash bodyHash
	data []byte // nil when the store has it
}

// encode turns rs into segments and the packed large bodies of each.
func (r *Recorder) encode(rs []muster.Result) (segs []segment, large [][]packedBody) {
	if r.enc == nil {
		r.enc = newSegmentEncoder(r.s.p)
	}
	seal := func() {
		s, bodies := r.enc.seal()
		segs, large = append(segs, s), append(large, r.packLarge(bodies))
	}
	for i := range rs {
		if r.enc.full() {
			seal()
		}
		r.enc.add(&rs[i], r.keeps.Keeps(&rs[i]))
	}
	seal()
	return segs, large
}

func (r *Recorder) packLarge(bodies []largeBody) []packedBody {
	ps := make([]packedBody, len(bodies))
	for i, b := range bodies {
		ps[i].hash = b.hash
		if _, ok := r.known[b.hash]; ok {
			continue
		}
		ps[i].data = r.s.p.pack(nil, b.data)
		if len(r.known) < maxKnown {
			r.known[b.hash] = struct{}{}
		}
	}
	return ps
}

// insert writes one segment and returns how much the store grew.
func (r *Recorder) insert(t *tx, seq int, s *segment, large []packedBody) (bytes int64, err error) {
	if seq >= maxParts {
		return 0, fmt.Errorf("job %s has %d segments, more than a job can have", r.id, seq)
	}
	refs := make([]int, len(large))
	for i, b := range large {
		var num, users int64
		if err := t.row([]any{&num, &users}, sqlUseBody, b.hash[:]); err != nil {
			return 0, err
		}
		if users == 1 {
			if _, err := t.exec(sqlInsertBody, num, b.data); err != nil {
				return 0, err
			}
			bytes += int64(len(b.data))
		}
		refs[i] = int(num)
	}
	s.refs = []byte{}
	if len(refs) > 0 {
		s.refs = appendDeltas(s.refs, refs)
	}
	bytes += int64(len(s.head) + len(s.rest) + len(s.bodies) + len(s.refs))
	_, err = t.exec(sqlInsertSegment, partKey(r.num, seq), s.count, s.outcomes, s.refs, s.head, s.rest, s.bodies)
	return bytes, err
}

// place notes where the results went.
func (r *Recorder) place(rs []muster.Result, segs []segment) {
	for _, s := range segs {
		if r.segments >= 1<<(32-placeBits)-1 {
			r.unlocated = true
		}
		for row := range s.count {
			if !r.unlocated {
				r.places[rs[row].Index] = uint32(r.segments<<placeBits|row) + 1
			}
		}
		rs = rs[s.count:]
		r.segments++
	}
}

// Reserve notes durably that an attempt on each target may begin which must not be
// repeated: at most 64, and on the disk when it returns, in the store or in a spill file beside
// it. After the death of the process those without a result are [muster.Lost]. With an error no attempt
// may begin: the note could get lost, or the job was closed by another process.
func (r *Recorder) Reserve(ctx context.Context, indexes []int) error {
	if len(indexes) > maxReserve {
		return muster.Errorf(muster.KindInvalid, "reserve %d targets: want at most %d", len(indexes), maxReserve)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return muster.Errorf(muster.KindConflict, "reserve in job %s: it is finished", r.id)
	}
	for _, i := range indexes {
		if i < 0 || i >= r.targets {
			return muster.Errorf(muster.KindInvalid, "reserve target %d of %d in job %s", i, r.targets, r.id)
		}
	}
	if r.cause == nil {
		err := r.s.write(ctx, true, func(t *tx) error {
			if err := r.own(t); err != nil {
				return err
			}
			_, err := t.exec(sqlReserve, partKey(r.num, r.reserved), appendDeltas(nil, indexes))
			return err
		})
		if err == nil {
			r.reserved++
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("reserve in job %s: %w", r.id, err)
		}
		r.cause = r.s.failed("reserve in", err)
	}
	if errors.Is(r.cause, errTaken) {
		return muster.Errorf(muster.KindConflict, "reserve in job %s: %w", r.id, r.cause)
	}
	if err := r.spill.reserve(indexes); err != nil {
		return muster.Errorf(muster.KindUnavailable, "reserve in job %s: %w", r.id, err)
	}
	return nil
}

// own reports errTaken unless the job is still this recorder's.
func (r *Recorder) own(t *tx) error {
	n, err := t.exec(sqlTouch, r.now(), r.num, r.owner)
	if err == nil && n == 0 {
		err = errTaken
	}
	return err
}

// Ledger returns the account so far, spilled results included.
func (r *Recorder) Ledger() muster.Ledger {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts.Ledger
}

// Health reports whether the store has everything, else the spill file ("" when there is none) and
// the reason. ok is false also when the spill file has every result.
func (r *Recorder) Health() (ok bool, spillPath string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause == nil, r.spill.path(), r.trouble()
}

// trouble returns nil, or what a person should be told: the cause, and where the results are.
func (r *Recorder) trouble() error {
	err := r.cause
	if r.dropped > 0 {
		err = muster.Errorf(muster.KindUnavailable, "%w; %d results were kept nowhere: %w", err, r.dropped, r.spill.errOr())
	}
	if r.spilled > 0 {
		err = muster.Errorf(muster.KindUnavailable, "%w; %d results are in %s", err, r.spilled, r.spill.path())
	}
	return err
}

// Close releases the recorder's memory and file and reports what Health does. It does not
// finish the job: one that was not finished stays open until [Store.Reap] closes it.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished, r.places, r.enc, r.known = true, nil, nil, nil
	if err := r.spill.close(); err != nil {
		return err
	}
	return r.trouble()
}

func (r *Recorder) spillAll(rs []muster.Result) {
	n, err := r.spill.write(rs, r.keeps)
	r.spilled += n
	if err != nil {
		r.dropped += len(rs) - n
	}
}
