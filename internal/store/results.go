package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/musterhq/muster"
)

// Query chooses results of one job. The zero value is all of them, without bodies, in the
// order in which they were stored.
type Query struct {
	// Outcomes, Failures and Codes are the values to keep; none is all.
	Outcomes []muster.Outcome
	Failures []muster.Failure
	Codes    []int
	// Indexes are the targets to keep, in any order; nil is all. It implies ByIndex.
	Indexes []int
	// From leaves out the targets below it; with ByIndex and Limit it is the start of a page.
	From int
	// Limit is the most results; 0 is no limit.
	Limit int
	// ByIndex orders by target instead of by the time of storing.
	ByIndex bool
	// Bodies includes the bodies.
	Bodies bool
}

// keeps reports whether row i of a segment is wanted.
func (q *Query) keeps(h *headColumns, i int) bool {
	return h.index[i] >= q.From &&
		(len(q.Outcomes) == 0 || slices.Contains(q.Outcomes, muster.Outcome(h.outcomes[i]))) &&
		(len(q.Failures) == 0 || slices.Contains(q.Failures, muster.Failure(h.failures[i]))) &&
		(len(q.Codes) == 0 || slices.Contains(q.Codes, h.codes[i]))
}

// Results returns the results that q chooses of the job that ref names. A job that is
// running gives those stored so far; results that were spilled are not among them (see [Store.Counts]).
// No transaction is open while the caller works. The first error is the last pair.
func (s *Store) Results(ctx context.Context, ref string, q Query) iter.Seq2[muster.Result, error] {
	return func(yield func(muster.Result, error) bool) {
		j, err := s.job(ctx, ref)
		if err != nil {
			yield(muster.Result{}, err)
			return
		}
		if err := s.results(ctx, j, q, func(r muster.Result) bool { return yield(r, nil) }); err != nil {
			yield(muster.Result{}, err)
		}
	}
}

// Result returns the result of one target with its body; [muster.KindNotFound] when the store has none.
func (s *Store) Result(ctx context.Context, ref string, index int) (muster.Result, error) {
	for r, err := range s.Results(ctx, ref, Query{Indexes: []int{index}, Bodies: true}) {
		return r, err
	}
	return muster.Result{}, muster.Errorf(muster.KindNotFound, "job %s: target %d has no stored result", ref, index)
}

func (s *Store) results(ctx context.Context, j jobRow, q Query, yield func(muster.Result) bool) error {
	list, err := s.loadList(ctx, j.list)
	if err != nil {
		return err
	}
	rd := &resultReader{s: s, j: j, q: q, ids: newIDReader(list), large: map[int][]byte{}}
	left := q.Limit
	rd.yield = func(r muster.Result) bool {
		left--
		return yield(r) && left != 0
	}
	if q.ByIndex || q.Indexes != nil {
		return rd.byIndex(ctx)
	}
	return rd.stored(ctx)
}

// resultReader carries one query through the segments.
type resultReader struct {
	s     *Store
	j     jobRow
	q     Query
	ids   *idReader
	yield func(muster.Result) bool // false: enough
	large map[int][]byte           // large bodies read last, by number
	bytes int                      // in large
}

// headRow is a segment's row without its large columns.
type headRow struct {
	id       int64
	count    int
	outcomes int64
	head     []byte
}

// headBatch is how many heads one query reads.
const headBatch = 64

// heads calls f for every segment of a job that may have one of the outcomes, in order.
func (s *Store) heads(ctx context.Context, j *jobRow, mask int64, f func(seq int, h headColumns) (more bool, err error)) error {
	from, end := partKey(j.num, 0), partKey(j.num+1, 0)
	seen := 0
	for {
		batch, err := s.headRows(ctx, from, end)
		if err != nil {
			return err
		}
		for _, row := range batch {
			seen++
			from = row.id + 1
			if row.outcomes&mask == 0 {
				continue
			}
			h, err := s.p.openHead(row.head, j.Ledger.Targets)
			if err == nil && len(h.index) != row.count {
				err = errCorrupt
			}
			if err != nil {
				return s.damaged(j, row.id, err)
			}
			if more, err := f(int(row.id&(maxParts-1)), h); err != nil || !more {
				return err
			}
		}
		if len(batch) < headBatch {
			break
		}
	}
	if seen < j.segments {
		return muster.Errorf(muster.KindNotFound, "job %s was deleted while it was read", j.ID)
	}
	return nil
}

func (s *Store) damaged(j *jobRow, id int64, err error) error {
	return s.failed("read", fmt.Errorf("segment %d of job %s: %w", id&(maxParts-1), j.ID, err))
}

func (s *Store) headRows(ctx context.Context, from, end int64) ([]headRow, error) {
	rows, err := s.read.QueryContext(ctx, sqlHeads, from, end, headBatch)
	if err != nil {
		return nil, s.failed("read", err)
	}
	defer rows.Close()
	batch := make([]headRow, 0, headBatch)
	for rows.Next() {
		var r headRow
		if err := rows.Scan(&r.id, &r.count, &r.outcomes, &r.head); err != nil {
			return nil, s.failed("read", err)
		}
		batch = append(batch, r)
	}
	return batch, s.failed("read", rows.Err())
}

// stored goes through the segments in their order.
func (rd *resultReader) stored(ctx context.Context) error {
	var want []int
	return rd.s.heads(ctx, &rd.j, outcomeMask(rd.q.Outcomes), func(seq int, h headColumns) (bool, error) {
		want = want[:0]
		for i := range h.index {
			if rd.q.keeps(&h, i) {
				want = append(want, i)
			}
		}
		if len(want) == 0 {
			return true, nil
		}
		o, err := rd.open(ctx, seq, h)
		if err != nil {
			return false, err
		}
		for _, i := range want {
			r, err := rd.result(ctx, o, i)
			if err != nil {
				return false, rd.s.damaged(&rd.j, int64(seq), err)
			}
			if !rd.yield(r) {
				return false, nil
			}
		}
		return true, nil
	})
}

// open reads the columns of segment seq, and its bodies if they are wanted.
func (rd *resultReader) open(ctx context.Context, seq int, h headColumns) (*openSegment, error) {
	var sg segment
	text, dst := sqlRest, []any{&sg.refs, &sg.rest}
	if rd.q.Bodies {
		text, dst = sqlRestBodies, append(dst, &sg.bodies)
	}
	id := partKey(rd.j.num, seq)
	if err := rd.s.read.QueryRowContext(ctx, text, id).Scan(dst...); err != nil {
		return nil, rd.s.damaged(&rd.j, id, err)
	}
	o, err := rd.s.p.open(sg, h, rd.q.Bodies)
	if err != nil {
		return nil, rd.s.damaged(&rd.j, id, err)
	}
	return o, nil
}

// result returns row i whole.
func (rd *resultReader) result(ctx context.Context, o *openSegment, i int) (r muster.Result, err error) {
	r = o.result(i)
	if r.Target, err = rd.ids.id(ctx, r.Index); err != nil {
		return r, err
	}
	n := o.rows[i].body
	switch {
	case n < 0 || !rd.q.Bodies:
	case o.bodies[n].large:
		r.Body, err = rd.largeBody(ctx, o.refs[o.bodies[n].at])
	default:
		r.Body, err = o.smallBody(n)
	}
	return r, err
}

// largeCache bounds the large bodies that a reader remembers: equal ones come in runs.
const largeCache = 8 << 20

func (rd *resultReader) largeBody(ctx context.Context, num int) ([]byte, error) {
	if b, ok := rd.large[num]; ok {
		return slices.Clone(b), nil
	}
	var packed []byte
	if err := rd.s.read.QueryRowContext(ctx, sqlBody, num).Scan(&packed); err != nil {
		return nil, fmt.Errorf("body %d: %w", num, err)
	}
	b, err := rd.s.p.unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("body %d: %w", num, err)
	}
	if rd.bytes+len(b) > largeCache {
		clear(rd.large)
		rd.bytes = 0
	}
	rd.large[num] = slices.Clone(b)
	rd.bytes += len(b)
	return b, nil
}
