package store

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/musterhq/muster"
)

// Recipe is implemented by lists that are a computation: a store keeps the
// recipe instead of the targets when ok, and has [Config.Rebuild] make the list again.
type Recipe interface {
	Recipe() (recipe []byte, ok bool)
}

// flushChunks is how many chunks of a long list one transaction writes.
const flushChunks = 64

// listWriter stores a frozen list: short ones in the transaction that creates the
// job, long ones in several before, marked as unfinished until that transaction.
type listWriter struct {
	s       *Store
	list    muster.List
	hash    [32]byte
	owner   string
	num     int64 // 0 while nothing is written
	chunks  [][]byte
	written int
	entries []lookupEntry
	recipe  []byte
	bytes   int
}

// prepare encodes the list and writes all but its last part. Nothing is done for a list that is known.
func (l *listWriter) prepare(ctx context.Context) error {
	if n := l.list.Len(); n < 0 || n > math.MaxUint32 || n/chunkTargets >= maxParts {
		return muster.Errorf(muster.KindInvalid, "store a list of %d targets: too long", n)
	}
	l.hash = l.list.Hash()
	var num, length int64
	err := l.s.read.QueryRowContext(ctx, sqlFindList, l.hash[:]).Scan(&num, &length)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return l.encode(ctx)
}

func (l *listWriter) encode(ctx context.Context) error {
	if r, ok := l.list.(Recipe); ok && l.s.cfg.Rebuild != nil {
		if b, ok := r.Recipe(); ok {
			l.recipe = append([]byte{}, b...)
			return nil
		}
	}
	n := l.list.Len()
	l.entries = make([]lookupEntry, 0, n)
	enc := chunkEncoder{p: l.s.p}
	for i := range n {
		t, defect := l.list.At(i)
		enc.add(&t, defect)
		l.entries = append(l.entries, entryOf(t.ID, i))
		if enc.rows < chunkTargets && i < n-1 {
			continue
		}
		l.chunks = append(l.chunks, enc.seal())
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(l.chunks) == flushChunks && i < n-1 {
			if err := l.s.write(ctx, false, l.flush); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the chunks at hand, and first the list's row, marked as unfinished.
func (l *listWriter) flush(t *tx) (err error) {
	num, bytes := l.num, l.bytes
	if num == 0 {
		buckets := bucketCount(l.list.Len())
		if l.recipe != nil {
			buckets = 0
		}
		num, err = t.insert(sqlInsertList, l.hash[:], l.list.Len(), l.recipe, buckets, l.owner)
		if err != nil {
			return err
		}
	}
	for i, c := range l.chunks {
		if _, err := t.exec(sqlInsertChunk, partKey(num, l.written+i), c); err != nil {
			return err
		}
		bytes += len(c)
	}
	// What is noted here is wrong if the commit fails; nobody goes on then.
	l.num, l.written, l.bytes, l.chunks = num, l.written+len(l.chunks), bytes, l.chunks[:0]
	return nil
}

// finish makes the list whole in the transaction that creates its job, and returns
// its number. Of two processes that wrote the same list the second uses the first's.
func (l *listWriter) finish(t *tx) (int64, error) {
	var num, length int64
	err := t.row([]any{&num, &length}, sqlFindList, l.hash[:])
	switch {
	case err == nil && length != int64(l.list.Len()):
		return 0, muster.Errorf(muster.KindInternal, "store a list of %d targets: a list of %d has the same hash", l.list.Len(), length)
	case err == nil:
		_, err = t.exec(sqlUseList, num)
		return num, err
	case !errors.Is(err, sql.ErrNoRows):
		return 0, err
	case l.entries == nil && l.recipe == nil:
		return 0, errListGone
	}
	if err := l.flush(t); err != nil {
		return 0, err
	}
	if err := l.index(t); err != nil {
		return 0, err
	}
	if _, err := t.exec(sqlSealList, l.bytes, l.num); err != nil {
		return 0, err
	}
	_, err = t.exec(sqlUseList, l.num)
	num, l.num = l.num, 0
	return num, err
}

// errListGone says that a known list was deleted before its new job began.
var errListGone = errors.New("the stored list was deleted meanwhile")

func (l *listWriter) index(t *tx) error {
	return eachBucket(l.entries, bucketCount(len(l.entries)), func(bucket int, es []lookupEntry) error {
		b := l.s.p.packBucket(es)
		l.bytes += len(b)
		_, err := t.exec(sqlInsertHash, partKey(l.num, bucket), b)
		return err
	})
}
