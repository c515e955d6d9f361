package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/musterhq/muster"
)

// deleteParts is how many rows of segments one transaction deletes: other writers wait no
// longer than that takes.
const deleteParts = 64

// Delete removes jobs with all they have stored; lists and bodies go with the last job that uses them. A job
// that is running is refused with [muster.KindConflict] before anything is deleted; one whose process
// is dead (see [Store.Reap]) is not, nor one whose rows are damaged. The jobs
// disappear at once, their space is given back in small transactions.
func (s *Store) Delete(ctx context.Context, refs ...string) error {
	js, err := s.deletable(ctx, refs)
	if err != nil {
		return err
	}
	for i := range js {
		j := &js[i]
		spilled := s.spillsOf(j)
		switch err := s.remove(ctx, j.num, j.owner); {
		case errors.Is(err, errTaken):
			return muster.Errorf(muster.KindConflict, "delete job %s: %w", j.ID, err)
		case err != nil:
			return s.failed("delete from", err)
		}
		removeSpill(j.ID, spilled)
	}
	return s.failed("shrink", s.shrink(ctx))
}

// deletable returns the jobs that refs name, each once, if all may be deleted.
func (s *Store) deletable(ctx context.Context, refs []string) (js []jobRow, err error) {
	for _, ref := range refs {
		j, err := s.lookUp(ctx, ref)
		if err != nil {
			return nil, err
		}
		if j.owner.Valid && !s.dead(&j) {
			return nil, muster.Errorf(muster.KindConflict, "delete job %s: it is %s", j.ID, j.State)
		}
		if !slices.ContainsFunc(js, func(o jobRow) bool { return o.num == j.num }) {
			js = append(js, j)
		}
	}
	return js, nil
}

// spillsOf returns a job's spill files. The record of a dead one does not name them yet.
func (s *Store) spillsOf(j *jobRow) []string {
	if !j.owner.Valid {
		return j.counts.SpillPaths
	}
	left := spill{cfg: s.cfg, id: j.ID}
	return left.left()
}

// remove hides a job and deletes it, if owner is still the one that is stored. A death in between
// leaves a hidden job, which the next Retain deletes.
func (s *Store) remove(ctx context.Context, num int64, owner sql.NullString) error {
	err := s.write(ctx, false, func(t *tx) error {
		n, err := t.exec(sqlHideJob, num, owner)
		if err == nil && n == 0 && owner.Valid {
			err = errTaken
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.purge(ctx, num)
}

// purge deletes what a hidden job has stored, and the job last.
func (s *Store) purge(ctx context.Context, num int64) error {
	from, end := partKey(num, 0), partKey(num+1, 0)
	for more := true; more; {
		err := s.write(ctx, false, func(t *tx) (err error) {
			more, err = deleteSegments(t, from, end)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, text := range []string{sqlDeleteLocators, sqlDeleteReservations} {
		if err := s.deleteAll(ctx, text, from, end); err != nil {
			return err
		}
	}
	list, unused := int64(0), false
	err := s.write(ctx, false, func(t *tx) error {
		err := t.row([]any{&list}, sqlDeleteJob, num)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // another process deleted it at the same time
		}
		if err != nil {
			return err
		}
		refs := 0
		err = t.row([]any{&refs}, sqlLeaveList, list)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // a damaged job may name any list
		}
		if err != nil {
			return err
		}
		if unused = refs <= 0; unused {
			// From here on nobody can begin to use it.
			_, err = t.exec(sqlUnsealList, list)
		}
		return err
	})
	if err != nil || !unused {
		return err
	}
	return s.purgeList(ctx, list)
}

// deleteSegments deletes the next few segments and the bodies that only they name.
func deleteSegments(t *tx, from, end int64) (more bool, err error) {
	ids, refs, err := t.blobs(sqlSegmentRefs, from, end, deleteParts)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	for _, b := range refs {
		if len(b) == 0 {
			continue
		}
		in := scanner{b: b}
		nums := in.deltas(nil)
		if in.bad {
			continue // better that a body stays for ever than that another job loses one
		}
		for _, num := range nums {
			if err := leaveBody(t, num); err != nil {
				return false, err
			}
		}
	}
	_, err = t.exec(sqlDeleteSegments, ids[0], ids[len(ids)-1]+1)
	return len(ids) == deleteParts, err
}

func leaveBody(t *tx, num int) error {
	refs := 0
	err := t.row([]any{&refs}, sqlLeaveBody, num)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || refs > 0 {
		return err
	}
	if _, err := t.exec(sqlDeleteBody, num); err != nil {
		return err
	}
	_, err = t.exec(sqlDeleteBodyData, num)
	return err
}

// deleteAll repeats a statement that deletes some rows of a range until there are none.
func (s *Store) deleteAll(ctx context.Context, text string, from, end int64) error {
	for {
		n := int64(0)
		err := s.write(ctx, false, func(t *tx) (err error) {
			n, err = t.exec(text, from, end, deleteParts)
			return err
		})
		if err != nil || n < deleteParts {
			return err
		}
	}
}

// purgeList deletes a list that is not whole, or not any more.
func (s *Store) purgeList(ctx context.Context, num int64) error {
	from, end := partKey(num, 0), partKey(num+1, 0)
	for _, text := range []string{sqlDeleteChunks, sqlDeleteHashes} {
		if err := s.deleteAll(ctx, text, from, end); err != nil {
			return err
		}
	}
	return s.write(ctx, false, func(t *tx) error {
		_, err := t.exec(sqlDeleteList, num)
		return err
	})
}

// shrink gives the file's free pages back to the file system, step by step.
func (s *Store) shrink(ctx context.Context) error {
	for {
		before, after := 0, 0
		err := s.write(ctx, false, func(t *tx) error {
			if err := t.row([]any{&before}, sqlFreePages); err != nil {
				return err
			}
			if before == 0 {
				return nil
			}
			if _, err := t.exec(sqlShrink); err != nil {
				return err
			}
			return t.row([]any{&after}, sqlFreePages)
		})
		if err != nil || after == 0 || after >= before {
			return err
		}
	}
}

// blobs returns the ids and the second column of the rows that a query gives.
func (t *tx) blobs(text string, args ...any) (ids []int64, bs [][]byte, err error) {
	st, err := t.w.stmt(t.ctx, text)
	if err != nil {
		return nil, nil, err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var b []byte
		if err := rows.Scan(&id, &b); err != nil {
			return nil, nil, err
		}
		ids, bs = append(ids, id), append(bs, b)
	}
	return ids, bs, rows.Err()
}
