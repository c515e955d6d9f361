package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// The defaults of a zero [Retention]: whichever limit is reached first.
const (
	DefaultRetainAge   = 30 * 24 * time.Hour
	DefaultRetainBytes = 2 << 30
)

// Retention says what is kept. Jobs that are not finished are always kept.
type Retention struct {
	// Age is how long a job is kept after its end; 0 is DefaultRetainAge, negative is forever.
	Age time.Duration
	// Bytes is how large the file may be; 0 is DefaultRetainBytes, negative is no limit.
	Bytes int64
	// Jobs is how many finished jobs are kept; 0 is no limit.
	Jobs int
}

// Validate reports every problem of the limits at once.
func (r *Retention) Validate() error {
	if r.Jobs < 0 {
		return muster.Errorf(muster.KindInvalid, "keep %d jobs: want 0 for no limit, or more", r.Jobs)
	}
	return nil
}

// Retain deletes the oldest finished jobs beyond the limits, and what earlier deletions that were
// cut short have left. It works in small transactions and may be
// ended at any time by ctx. It returns the ids of the jobs deleted.
func (s *Store) Retain(ctx context.Context, limits Retention) ([]string, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	if limits.Age == 0 {
		limits.Age = DefaultRetainAge
	}
	if limits.Bytes == 0 {
		limits.Bytes = DefaultRetainBytes
	}
	if err := s.sweep(ctx); err != nil {
		return nil, s.failed("sweep", err)
	}
	ids, err := s.retain(ctx, limits)
	if err == nil {
		err = s.shrink(ctx)
	}
	return ids, s.failed("delete from", err)
}

// finishedJob is what retention looks at.
type finishedJob struct {
	num      int64
	id       string
	finished time.Time
	spill    string
}

func (s *Store) retain(ctx context.Context, limits Retention) (ids []string, err error) {
	js, err := s.finishedJobs(ctx)
	if err != nil {
		return nil, err
	}
	now := s.cfg.now()
	for i, j := range js {
		over := limits.Age > 0 && now.Sub(j.finished) > limits.Age || limits.Jobs > 0 && len(js)-i > limits.Jobs
		if !over && limits.Bytes > 0 {
			used, err := s.used(ctx)
			if err != nil {
				return ids, err
			}
			over = used > limits.Bytes
		}
		if !over {
			continue
		}
		if err := s.remove(ctx, j.num, sql.NullString{}); err != nil {
			return ids, err
		}
		removeSpill(j.id, strings.Split(j.spill, "\n"))
		ids = append(ids, j.id)
		if err := ctx.Err(); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// finishedJobs returns the finished jobs in the order of their creation.
func (s *Store) finishedJobs(ctx context.Context) ([]finishedJob, error) {
	rows, err := s.read.QueryContext(ctx, sqlFinished)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var js []finishedJob
	for rows.Next() {
		var j finishedJob
		var at int64
		if err := rows.Scan(&j.num, &j.id, &at, &j.spill); err != nil {
			return nil, err
		}
		j.finished = fromNanos(at)
		js = append(js, j)
	}
	return js, rows.Err()
}

// used returns the bytes of the file that are in use.
func (s *Store) used(ctx context.Context) (int64, error) {
	var pages, free, size int64
	for text, dst := range map[string]*int64{sqlPageCount: &pages, sqlFreePages: &free, sqlPageSize: &size} {
		if err := s.read.QueryRowContext(ctx, text).Scan(dst); err != nil {
			return 0, err
		}
	}
	return (pages - free) * size, nil
}

// removeSpill deletes the spill files of a job that is deleted. A file that is gone, or cannot be
// deleted, is no reason to keep the job.
func removeSpill(id string, paths []string) {
	for _, path := range paths {
		if filepath.Base(path) == spillName(id) && ours(path) {
			_ = os.Remove(path)
		}
	}
}

// sweep deletes the jobs that are hidden already, and the lists whose writers died.
func (s *Store) sweep(ctx context.Context) error {
	jobs, _, err := s.numbers(ctx, sqlHidden)
	if err != nil {
		return err
	}
	for _, num := range jobs {
		if err := s.purge(ctx, num); err != nil {
			return err
		}
	}
	lists, writers, err := s.numbers(ctx, sqlUnsealed)
	if err != nil {
		return err
	}
	for i, num := range lists {
		var o muster.Owner
		// A list that no job uses any more has no writer.
		if json.Unmarshal([]byte(writers[i]), &o) == nil && !s.dead(&jobRow{Job: muster.Job{Owner: o}, touched: s.cfg.now()}) {
			continue
		}
		if err := s.purgeList(ctx, num); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) numbers(ctx context.Context, text string) (nums []int64, notes []string, err error) {
	rows, err := s.read.QueryContext(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var num int64
		var note string
		if err := rows.Scan(&num, &note); err != nil {
			return nil, nil, err
		}
		nums, notes = append(nums, num), append(notes, note)
	}
	return nums, notes, rows.Err()
}
