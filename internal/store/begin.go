package store

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/musterhq/muster"
)

// Begin stores the job with its list and returns the recorder for its results. job.State
// becomes [muster.StateRunning] if it is empty or queued, job.Owner this process if it
// is zero, job.Created now; job.Ledger starts at the length of the list. A job that cannot be stored because
// the store is broken still gets a recorder, which spills. An error means that job or list are at fault.
func (s *Store) Begin(ctx context.Context, job *muster.Job, list muster.List) (*Recorder, error) {
	if job.ID == "" {
		return nil, muster.Errorf(muster.KindInvalid, "store a job: it has no id")
	}
	s.prepare(job, list.Len())
	owner, err := json.Marshal(job.Owner)
	if err != nil {
		return nil, err
	}
	r := newRecorder(s.cfg, job, list.Len())
	r.s, r.owner = s, string(owner)
	switch err := s.begin(ctx, r, job, list); {
	case muster.KindOf(err) == muster.KindInvalid || muster.KindOf(err) == muster.KindConflict:
		return nil, err
	case err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		r.cause = s.failed("begin job in", err)
	}
	return r, nil
}

func (s *Store) prepare(job *muster.Job, targets int) {
	if job.State == "" || job.State == muster.StateQueued {
		job.State = muster.StateRunning
	}
	now := s.cfg.now().UTC()
	if job.Created.IsZero() {
		job.Created = now
	}
	if job.Started.IsZero() {
		job.Started = now
	}
	if job.Owner == (muster.Owner{}) {
		job.Owner = Self()
	}
	job.Ledger = muster.Ledger{Targets: targets}
}

func (s *Store) begin(ctx context.Context, r *Recorder, job *muster.Job, list muster.List) error {
	spec, err := json.Marshal(job.Spec)
	if err != nil {
		return muster.Errorf(muster.KindInvalid, "store job %s: %w", job.ID, err)
	}
	counts, err := r.counts.encode()
	if err != nil {
		return err
	}
	l := &listWriter{s: s, list: list, owner: r.owner}
	if err := l.prepare(ctx); err != nil {
		return errors.Join(err, l.abandon())
	}
	insert := func(t *tx) error {
		num, err := l.finish(t)
		if err != nil {
			return err
		}
		r.num, err = t.insert(sqlInsertJob, job.ID, job.State, job.Why, nanos(job.Created), nanos(job.Started), r.now(),
			job.User, job.Command, r.owner, job.Duplicates, num, list.Len(), counts, s.p.pack(nil, spec))
		if codeOf(err) == codeConstraint {
			return muster.Errorf(muster.KindConflict, "store job %s: there is a job with this id", job.ID)
		}
		return err
	}
	err = s.write(ctx, false, insert)
	if errors.Is(err, errListGone) {
		if err = l.encode(ctx); err == nil {
			err = s.write(ctx, false, insert)
		}
	}
	if err != nil {
		return errors.Join(err, l.abandon())
	}
	return nil
}

// abandon deletes what was written of a list that no job will use.
func (l *listWriter) abandon() error {
	if l.num == 0 || l.written == 0 {
		return nil
	}
	return l.s.purgeList(context.Background(), l.num)
}

// targetsIn bounds a number of targets that comes from a database.
func targetsIn(n int64) (int, error) {
	if n < 0 || n > math.MaxUint32 {
		return 0, errCorrupt
	}
	return int(n), nil
}
