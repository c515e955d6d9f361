package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster"
)

// ForeignAfter is how long the job of another host must have been silent before it
// is taken for dead: whether a process there lives cannot be seen from here.
const ForeignAfter = 24 * time.Hour

// reasonInterrupted is the reason of the outcomes that Reap gives.
const reasonInterrupted = "interrupted"

// Reap closes the jobs whose process died and returns them. What they have stored or
// spilled stays; a target that was reserved and has no result becomes [muster.Lost], every
// other one [muster.NotAttempted], both with reason "interrupted"; the state becomes
// [muster.StateInterrupted] and the time of the end that of the last write. Of several
// processes that reap at once, one closes a job. A dead process is one of this host that is gone or whose
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

// reap makes j ours, unless another process was faster, and closes it.
func (s *Store) reap(ctx context.Context, j *jobRow) (took bool, err error) {
	old, err := json.Marshal(j.Owner)
	if err != nil {
		return false, err
	}
	j.Owner = Self()
	owner, err := json.Marshal(j.Owner)
	if err != nil {
		return false, err
	}
	err = s.write(ctx, false, func(t *tx) error {
		n, err := t.exec(sqlClaim, string(owner), j.num, string(old))
		took = n == 1
		return err
	})
	if err != nil || !took {
		return false, s.failed("write to", err)
	}
	r, err := s.resume(ctx, j, string(owner))
	if err != nil {
		return false, err
	}
	if err := r.conclude(ctx, j); err != nil {
		return false, err
	}
	return true, r.Close()
}

// resume returns a recorder that goes on where the job's last one stopped. It does not
// spill: what it would write can be made again.
func (s *Store) resume(ctx context.Context, j *jobRow, owner string) (*Recorder, error) {
	r := newRecorder(s.cfg, &j.Job, j.Ledger.Targets)
	r.spill.cfg.Encode = nil
	r.s, r.num, r.owner = s, j.num, owner
	r.counts, r.segments, r.bytes = j.counts.clone(), j.segments, j.bytes
	p := places{s: s, j: j}
	if err := p.scan(ctx); err != nil {
		return nil, err
	}
	r.places = p.all
	return r, nil
}

// conclude gives every target without an outcome the one it deserves, and ends the job.
func (r *Recorder) conclude(ctx context.Context, j *jobRow) error {
	reserved := make([]uint64, (r.targets+63)/64)
	if err := r.s.reservations(ctx, j, reserved); err != nil {
		return err
	}
	if err := r.unspill(ctx, reserved); err != nil {
		return err
	}
	batch := make([]muster.Result, 0, segmentRows)
	for i := range r.targets {
		if r.places[i] != 0 {
			continue
		}
		res := muster.Result{Index: i, Outcome: muster.NotAttempted, Reason: reasonInterrupted}
		if reserved[i/64]&(1<<(i%64)) != 0 {
			res.Outcome = muster.Lost
		}
		if batch = append(batch, res); len(batch) == cap(batch) {
			if err := r.keep(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := r.keep(ctx, batch); err != nil {
		return err
	}
	j.State, j.Finished = muster.StateInterrupted, j.touched
	if j.Why == "" {
		j.Why = "process died"
	}
	return r.Finish(ctx, &j.Job)
}

// keep writes rs to the store; unlike Write it fails when the store does, or ctx has ended.
func (r *Recorder) keep(ctx context.Context, rs []muster.Result) error {
	if err := r.Write(ctx, rs); err != nil {
		return err
	}
	if ok, _, err := r.Health(); !ok {
		return err
	}
	return ctx.Err()
}

// reservations sets the bits of the targets that a job reserved.
func (s *Store) reservations(ctx context.Context, j *jobRow, bits []uint64) error {
	from, end := partKey(j.num, 0), partKey(j.num+1, 0)
	for {
		n, err := s.reservationRows(ctx, &from, end, func(b []byte) error {
			in := scanner{b: b}
			for _, i := range in.deltas(nil) {
				if !setBit(bits, i, j.Ledger.Targets) {
					return errCorrupt
				}
			}
			return in.err()
		})
		if err != nil {
			return s.failed("read reservations from", err)
		}
		if n < headBatch {
			return nil
		}
	}
}

func setBit(bits []uint64, i, n int) bool {
	if i < 0 || i >= n {
		return false
	}
	bits[i/64] |= 1 << (i % 64)
	return true
}

func (s *Store) reservationRows(ctx context.Context, from *int64, end int64, f func(b []byte) error) (n int, err error) {
	rows, err := s.read.QueryContext(ctx, sqlReservations, *from, end, headBatch)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var b []byte
		if err := rows.Scan(&id, &b); err != nil {
			return n, err
		}
		n, *from = n+1, id+1
		if err := f(b); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// unspill reads the spill files that the dead process left where this one looks for them. They
// stay where they are, and the job's record names them.
func (r *Recorder) unspill(ctx context.Context, reserved []uint64) error {
	for _, d := range r.spill.folders() {
		path := filepath.Join(d, spillName(r.id))
		if !ours(path) {
			continue
		}
		if err := r.readSpill(ctx, path, reserved); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		r.spill.paths = append(r.spill.paths, path)
	}
	return nil
}

// ours reports whether path is a plain file of this user: a shared folder may hold a trap.
func ours(path string) bool {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid()
}
