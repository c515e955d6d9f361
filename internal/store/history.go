package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/musterhq/muster"
)

// Occurrence is a target's place in a job.
type Occurrence struct {
	Job   muster.Job
	Index int
}

// Finder is implemented by lists that find a target's number by its id faster than by trying all.
type Finder interface {
	IndexOf(id string) (index int, ok bool)
}

// historyBatch is how many jobs one query reads.
const historyBatch = 64

// History returns the jobs in whose list the target is, the youngest first; its result in
// one of them is [Store.Result] of the job and the index. The first error is the last pair.
func (s *Store) History(ctx context.Context, targetID string) iter.Seq2[Occurrence, error] {
	return func(yield func(Occurrence, error) bool) {
		found := map[int64]int{} // by list: index, or -1
		before := int64(1) << 62
		for {
			js, err := s.jobRows(ctx, "gone = 0 AND num < ?", historyBatch, before)
			if err != nil {
				yield(Occurrence{}, err)
				return
			}
			for _, j := range js {
				before = j.num
				index, known := found[j.list]
				if !known {
					if index, err = s.find(ctx, j.list, targetID); err != nil {
						yield(Occurrence{}, err)
						return
					}
					found[j.list] = index
				}
				if index >= 0 && !yield(Occurrence{j.Job, index}, nil) {
					return
				}
			}
			if len(js) < historyBatch {
				return
			}
		}
	}
}

// find returns the number of a target in a list, or -1.
func (s *Store) find(ctx context.Context, num int64, id string) (int, error) {
	l, err := s.loadList(ctx, num)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil // deleted with its job a moment ago
	}
	if err != nil {
		return -1, err
	}
	switch l := l.(type) {
	case *storedList:
		return l.find(ctx, id)
	case Finder:
		if i, ok := l.IndexOf(id); ok {
			return i, nil
		}
		return -1, nil
	}
	for i := range l.Len() {
		if t, _ := l.At(i); t.ID == id {
			return i, nil
		}
	}
	return -1, ctx.Err()
}

func (l *storedList) find(ctx context.Context, id string) (int, error) {
	var packed []byte
	key := partKey(l.num, bucketOf(hashID(id), bucketCount(l.len)))
	err := l.s.read.QueryRowContext(ctx, sqlLookup, key).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	if err != nil {
		return -1, l.s.failed("read", err)
	}
	candidates, err := l.s.p.findInBucket(packed, id)
	if err != nil {
		return -1, l.s.failed("read", err)
	}
	ids := newIDReader(l)
	for _, i := range candidates {
		if i >= l.len {
			return -1, l.s.failed("read", errCorrupt)
		}
		if got, err := ids.id(ctx, i); err != nil || got == id {
			return i, err
		}
	}
	return -1, nil
}
