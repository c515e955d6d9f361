package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/musterhq/muster"
)

// reasonInterrupted is the reason of the outcomes that Reap gives.
const reasonInterrupted = "interrupted"

// conclude gives the job, which is ours, its outcomes and its end.
func (s *Store) conclude(ctx context.Context, j *jobRow) error {
	r, err := s.resume(ctx, j)
	if err != nil {
		return err
	}
	reserved := make([]uint64, (r.targets+63)/64)
	if err := s.reservations(ctx, j, reserved); err != nil {
		return err
	}
	if err := r.unspill(ctx, reserved); err != nil {
		return err
	}
	if err := r.fill(ctx, reserved); err != nil {
		return err
	}
	j.State, j.Finished = muster.StateInterrupted, j.touched
	if j.Why == "" {
		j.Why = "process died"
	}
	if err := r.Finish(ctx, &j.Job); err != nil {
		return err
	}
	return r.Close()
}

// resume returns a recorder that goes on where the job's last one stopped. It does not
// spill: what it would write can be made again.
func (s *Store) resume(ctx context.Context, j *jobRow) (*Recorder, error) {
	r := newRecorder(s.cfg, &j.Job, j.Ledger.Targets)
	r.spill.cfg.Encode = nil
	r.s, r.num, r.owner = s, j.num, j.owner.String
	r.counts, r.segments, r.bytes = j.counts.clone(), j.segments, j.bytes
	p := places{s: s, j: j}
	if err := p.scan(ctx); err != nil {
		return nil, err
	}
	r.places = p.all
	return r, nil
}

// fill gives every target without an outcome the one it deserves.
func (r *Recorder) fill(ctx context.Context, reserved []uint64) error {
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
	return r.keep(ctx, batch)
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
	for _, path := range r.spill.left() {
		if err := r.readSpill(ctx, path, reserved); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		r.spill.paths = append(r.spill.paths, path)
	}
	return nil
}

// left lists the files that a dead process left where this one looks for them.
func (s *spill) left() []string {
	var paths []string
	for _, d := range s.folders() {
		if path := filepath.Join(d, spillName(s.id)); ours(path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
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
