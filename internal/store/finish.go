package store

import (
	"context"
	"strings"

	"github.com/musterhq/muster"
)

// scanSegments is how many segments are looked through rather than located.
const scanSegments = 4

// locatorTargets is how many targets one row of the locator covers.
const locatorTargets = 4096

// Finish stores the job's end, on the disk when it returns: job.State, which must be
// final, Why, Started, Finished (now, if it is zero) and Duplicates; job.Ledger becomes the recorder's. It is refused with
// [muster.KindConflict] while a target has no outcome. Results that were spilled are counted in
// the job's ledger, and the job's record names their file. A store that does not take the end is an
// error of kind [muster.KindUnavailable], and the job is closed by the next Reap.
func (r *Recorder) Finish(ctx context.Context, job *muster.Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch l := &r.counts.Ledger; {
	case r.finished:
		return muster.Errorf(muster.KindConflict, "finish job %s: it is finished", r.id)
	case !job.State.Final():
		return muster.Errorf(muster.KindInvalid, "finish job %s: %q is no final state", r.id, job.State)
	case !l.Closed():
		return muster.Errorf(muster.KindConflict, "finish job %s: %d of %d targets have no outcome", r.id, l.Targets-l.Ended(), l.Targets)
	}
	if job.Finished.IsZero() {
		job.Finished = r.cfg.now().UTC()
	}
	job.Ledger = r.counts.Ledger
	if r.s == nil || r.num == 0 {
		return r.trouble()
	}
	if err := r.s.failed("finish job in", r.end(ctx, job)); err != nil {
		if r.cause == nil {
			r.cause = err
		}
		return err
	}
	r.finished = true
	job.Owner = muster.Owner{}
	return nil
}

func (r *Recorder) end(ctx context.Context, job *muster.Job) error {
	text, err := r.counts.encode()
	if err != nil {
		return err
	}
	chunks := r.locator()
	bytes := r.bytes
	for _, c := range chunks {
		bytes += int64(len(c))
	}
	return r.s.write(context.WithoutCancel(ctx), true, func(t *tx) error {
		for i, c := range chunks {
			if _, err := t.exec(sqlInsertLocator, partKey(r.num, i), c); err != nil {
				return err
			}
		}
		if _, err := t.exec(sqlDeleteReservation, partKey(r.num, 0), partKey(r.num+1, 0)); err != nil {
			return err
		}
		n, err := t.exec(sqlFinishJob, job.State, job.Why, nanos(job.Started), nanos(job.Finished), r.now(), job.Duplicates,
			len(chunks), bytes, text, strings.Join(r.spill.paths, "\n"), r.spilled+r.dropped, r.num, r.owner)
		if err == nil && n == 0 {
			err = errTaken
		}
		return err
	})
}

// locator returns the packed rows of the locator, or nil for a job that is small or cannot have one.
func (r *Recorder) locator() [][]byte {
	if r.segments <= scanSegments || r.unlocated {
		return nil
	}
	var chunks [][]byte
	var buf []byte
	for from := 0; from < r.targets; from += locatorTargets {
		buf = buf[:0]
		prev := int64(0)
		for _, p := range r.places[from:min(from+locatorTargets, r.targets)] {
			if p == placed {
				p = 0
			}
			buf = appendInt(buf, int64(p)-prev)
			prev = int64(p)
		}
		chunks = append(chunks, r.s.p.pack(nil, buf))
	}
	return chunks
}

// openLocator reads a row of the locator that covers n targets.
func (p *packer) openLocator(packed []byte, n int) ([]uint32, error) {
	raw, err := p.unpackMax(packed, locatorTargets*10)
	if err != nil {
		return nil, err
	}
	in, at := scanner{b: raw}, int64(0)
	places := make([]uint32, n)
	for i := range places {
		at += in.int()
		if at < 0 || at >= 1<<32 {
			return nil, errCorrupt
		}
		places[i] = uint32(at)
	}
	return places, in.err()
}
