package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// Filter chooses jobs. The zero value is all of them.
type Filter struct {
	// Limit is the most jobs returned; 0 is no limit.
	Limit int
	// States are the states to keep; none is all.
	States []muster.JobState
	// User keeps the jobs of one user; "" is all.
	User string
	// Before and Since bound the time of creation, Before exclusively; zero is unbounded.
	Before, Since time.Time
}

// jobRow is a job with what the store knows beside it.
type jobRow struct {
	muster.Job
	num, list int64
	segments  int
	located   int
	bytes     int64
	touched   time.Time // last write of the owner
	counts    Counts
	owner     sql.NullString // as it is stored; NULL once the state is final
	damage    error          // what of the row cannot be read; the rest can
}

// Jobs returns the jobs that f chooses, the youngest first. One whose row is damaged is among them
// with what can be read of it; [Store.Job] tells the damage.
func (s *Store) Jobs(ctx context.Context, f Filter) ([]muster.Job, error) {
	where, args := []string{"gone = 0"}, []any{}
	if f.User != "" {
		where, args = append(where, "user = ?"), append(args, f.User)
	}
	if !f.Before.IsZero() {
		where, args = append(where, "created < ?"), append(args, nanos(f.Before))
	}
	if !f.Since.IsZero() {
		where, args = append(where, "created >= ?"), append(args, nanos(f.Since))
	}
	if len(f.States) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(", ?", len(f.States)-1)+")")
		for _, st := range f.States {
			args = append(args, string(st))
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = -1
	}
	rows, err := s.jobRows(ctx, strings.Join(where, " AND "), limit, args...)
	if err != nil {
		return nil, err
	}
	jobs := make([]muster.Job, len(rows))
	for i := range rows {
		jobs[i] = rows[i].Job
	}
	return jobs, nil
}

// jobRows returns up to limit jobs for a condition written in this package, the youngest first.
func (s *Store) jobRows(ctx context.Context, where string, limit int, args ...any) ([]jobRow, error) {
	rows, err := s.read.QueryContext(ctx, sqlJobs+where+sqlJobsOrder, append(args, limit)...)
	if err != nil {
		return nil, s.failed("read jobs from", err)
	}
	defer rows.Close()
	var js []jobRow
	for rows.Next() {
		j, err := s.scanJob(rows)
		if err != nil {
			return nil, s.failed("read jobs from", err)
		}
		js = append(js, j)
	}
	return js, s.failed("read jobs from", rows.Err())
}

func (s *Store) scanJob(rows *sql.Rows) (j jobRow, err error) {
	var created, started, finished, touched, targets int64
	var counts, spillPath string
	var spilled int
	var spec []byte
	err = rows.Scan(&j.num, &j.ID, &j.State, &j.Why, &created, &started, &finished, &touched, &j.User, &j.Command, &j.owner,
		&j.Duplicates, &j.list, &targets, &j.segments, &j.located, &j.bytes, &counts, &spillPath, &spilled, &spec)
	if err != nil {
		return j, err
	}
	j.Created, j.Started, j.Finished = fromNanos(created), fromNanos(started), fromNanos(finished)
	j.touched = fromNanos(touched)
	err = errors.Join(j.readCounts(counts, targets), j.readOwner(), j.readSpec(s.p, spec))
	j.damage = s.failed("read job "+j.ID+" from", err)
	j.Ledger = j.counts.Ledger
	j.counts.Spilled = spilled
	if spillPath != "" {
		j.counts.SpillPaths = strings.Split(spillPath, "\n")
	}
	j.counts.Stored = j.Ledger.Ended() - spilled
	return j, nil
}

func (j *jobRow) readCounts(text string, targets int64) error {
	n, err := targetsIn(targets)
	if err == nil {
		j.counts, err = decodeCounts(text, n)
	}
	return damagedPart("counts", err)
}

func (j *jobRow) readOwner() error {
	if !j.owner.Valid {
		return nil
	}
	err := json.Unmarshal([]byte(j.owner.String), &j.Owner)
	if err != nil {
		j.Owner = muster.Owner{}
	}
	return damagedPart("owner", err)
}

func (j *jobRow) readSpec(p *packer, packed []byte) error {
	text, err := p.unpack(packed)
	if err == nil {
		err = json.Unmarshal(text, &j.Spec)
	}
	return damagedPart("spec", err)
}

// damagedPart names the part of a row that err is about, and makes it an errCorrupt.
func damagedPart(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errCorrupt):
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %w", name, errCorrupt, err)
}

// Job returns the job that ref names: an id, the unique start of one, "last", or "last~2" for
// the second one before the last. The error lists the candidates of an ambiguous start.
func (s *Store) Job(ctx context.Context, ref string) (muster.Job, error) {
	j, err := s.job(ctx, ref)
	return j.Job, err
}

// job returns the row that ref names, which must be whole.
func (s *Store) job(ctx context.Context, ref string) (jobRow, error) {
	j, err := s.lookUp(ctx, ref)
	if err == nil {
		err = j.damage
	}
	return j, err
}

// lookUp returns the row that ref names, damaged or not.
func (s *Store) lookUp(ctx context.Context, ref string) (jobRow, error) {
	if back, ok := lastRef(ref); ok {
		js, err := s.jobRows(ctx, "gone = 0", back+1)
		switch {
		case err != nil:
			return jobRow{}, err
		case len(js) == 0:
			return jobRow{}, muster.Errorf(muster.KindNotFound, "job %s: the store has no jobs", ref)
		case len(js) <= back:
			return jobRow{}, muster.Errorf(muster.KindNotFound, "job %s: the store has only %d jobs", ref, len(js))
		}
		return js[back], nil
	}
	js, err := s.jobRows(ctx, "gone = 0 AND id >= ? AND id < ?", maxCandidates+1, ref, ref+"\U0010FFFF")
	if err != nil {
		return jobRow{}, err
	}
	for _, j := range js {
		if j.ID == ref {
			return j, nil
		}
	}
	switch {
	case ref == "" || len(js) == 0:
		return jobRow{}, muster.Errorf(muster.KindNotFound, "job %q: not found; \"muster job ls\" lists the jobs", ref)
	case len(js) > 1:
		return jobRow{}, ambiguous(ref, js)
	}
	return js[0], nil
}

// maxCandidates is how many candidates an error names.
const maxCandidates = 5

func ambiguous(ref string, js []jobRow) error {
	ids := make([]string, 0, maxCandidates+1)
	for i, j := range js {
		if i == maxCandidates {
			ids = append(ids, "…")
			break
		}
		ids = append(ids, j.ID)
	}
	return muster.Errorf(muster.KindInvalid, "job %q is ambiguous: %s", ref, strings.Join(ids, ", "))
}

func lastRef(ref string) (back int, ok bool) {
	rest, ok := strings.CutPrefix(ref, "last")
	if !ok || rest == "" {
		return 0, ok
	}
	n, ok := strings.CutPrefix(rest, "~")
	back, err := strconv.Atoi(n)
	return back, ok && err == nil && back >= 0 && back < 1<<30
}

// Counts returns a job's account: its ledger, codes and reasons, and where its results are.
func (s *Store) Counts(ctx context.Context, ref string) (Counts, error) {
	j, err := s.job(ctx, ref)
	return j.counts, err
}

// List returns a job's frozen list. It is read on demand: At fails with
// [muster.KindNotFound] once the job has been deleted, and after Close.
func (s *Store) List(ctx context.Context, ref string) (muster.List, error) {
	j, err := s.job(ctx, ref)
	if err != nil {
		return nil, err
	}
	l, err := s.loadList(ctx, j.list)
	if errors.Is(err, sql.ErrNoRows) {
		err = muster.Errorf(muster.KindNotFound, "job %s was deleted", j.ID)
	}
	return l, err
}

// nanos returns t as nanoseconds of the Unix era, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
