package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster"
)

// ForeignAfter is how long the job of another host must have been silent before it
// is taken for dead: whether a process there lives cannot be seen from here.
const ForeignAfter = 24 * time.Hour

// Reap closes the jobs whose process died and returns them. What they have stored or
// spilled stays; a target that was reserved and has no result becomes [muster.Lost], every
// other one [muster.NotAttempted], both with reason "interrupted"; the state becomes
// [muster.StateInterrupted] and the time of the end that of the last write. Of several
// processes that reap at once, one closes a job. One that cannot be closed, because its rows are
// damaged, does not keep the others from it; the error tells of all of them, and [Store.Delete] deletes them. A dead process is one of this host that is gone or whose
// pid was given to another since, or one of an earlier boot; of another host, one silent for [ForeignAfter].
func (s *Store) Reap(ctx context.Context) ([]muster.Job, error) {
	open, err := s.jobRows(ctx, "owner IS NOT NULL AND gone = 0", -1)
	if err != nil {
		return nil, err
	}
	var closed []muster.Job
	var errs []error
	for i := range open {
		j := &open[i]
		if !s.dead(j) {
			continue
		}
		took, err := s.reap(ctx, j)
		if err != nil {
			errs = append(errs, fmt.Errorf("close job %s: %w", j.ID, err))
		} else if took {
			closed = append(closed, j.Job)
		}
	}
	return closed, errors.Join(errs...)
}

// dead reports whether the owner of j can not write any more.
func (s *Store) dead(j *jobRow) bool {
	here, o := thisHost(), &j.Owner
	host, _, _ := strings.Cut(o.Host, "/")
	base, _, _ := strings.Cut(here, "/")
	switch {
	case *o == muster.Owner{}: // unreadable: every write of its process finds that and is refused
		return true
	case host == base && o.Boot != thisBoot():
		return true
	case o.Host != here:
		return s.cfg.now().Sub(j.touched) > ForeignAfter
	}
	return gone(o)
}

// gone reports whether the process, of this host and boot, has ended.
func gone(o *muster.Owner) bool {
	if o.Start == 0 { // a system without /proc
		return o.PID <= 0 || errors.Is(syscall.Kill(o.PID, 0), syscall.ESRCH)
	}
	start, err := startOf(o.PID)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	return start != o.Start
}

// reap makes j ours, unless another process was faster, and closes it. A job that cannot be
// closed is given back as it was, so that another Reap, or Delete, can take it.
func (s *Store) reap(ctx context.Context, j *jobRow) (took bool, err error) {
	if j.damage != nil {
		return false, j.damage
	}
	before := *j
	j.Owner = Self()
	owner, err := json.Marshal(j.Owner)
	if err != nil {
		return false, err
	}
	j.owner.String = string(owner)
	err = s.write(ctx, false, func(t *tx) error {
		n, err := t.exec(sqlClaim, j.owner, j.num, before.owner)
		took = n == 1
		return err
	})
	if err != nil || !took {
		return false, s.failed("write to", err)
	}
	if err := s.conclude(ctx, j); err != nil {
		return false, errors.Join(err, s.release(ctx, j, &before))
	}
	return true, nil
}

// release undoes the claim of a job. What was stored of its end is right and stays.
func (s *Store) release(ctx context.Context, j, before *jobRow) error {
	err := s.write(context.WithoutCancel(ctx), false, func(t *tx) error {
		_, err := t.exec(sqlRelease, before.owner, nanos(before.touched), j.num, j.owner)
		return err
	})
	return s.failed("write to", err)
}
