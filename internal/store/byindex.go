package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/musterhq/muster"
)

// The window of a query by target: so many targets are located, read segment by segment, and sorted.
const (
	minWindow = 64
	maxWindow = 16 << 10
	// bodyWindow is the largest window while bodies are wanted: they must all be in memory.
	bodyWindow = 2 << 10
)

// spot is where the result of a target is.
type spot struct {
	seq, row int
}

// byIndex goes through the targets in windows that grow as long as more is wanted.
func (rd *resultReader) byIndex(ctx context.Context) error {
	loc := &places{s: rd.s, j: &rd.j, chunk: -1}
	if rd.q.Indexes != nil {
		return rd.byList(ctx, loc)
	}
	most := maxWindow
	if rd.q.Bodies {
		most = bodyWindow
	}
	width := min(max(rd.q.Limit, minWindow), most)
	for from := max(rd.q.From, 0); from < rd.j.Ledger.Targets; {
		to := min(from+width, rd.j.Ledger.Targets)
		var spots []spot
		for i := from; i < to; i++ {
			sp, ok, err := loc.at(ctx, i)
			if err != nil {
				return err
			}
			if ok {
				spots = append(spots, sp)
			}
		}
		if more, err := rd.emit(ctx, spots); err != nil || !more {
			return err
		}
		from, width = to, min(width*2, most)
	}
	return nil
}

// byList does the same for chosen targets.
func (rd *resultReader) byList(ctx context.Context, loc *places) error {
	want := slices.Clone(rd.q.Indexes)
	slices.Sort(want)
	want = slices.Compact(want)
	for group := range slices.Chunk(want, bodyWindow) {
		var spots []spot
		for _, i := range group {
			if i < 0 || i >= rd.j.Ledger.Targets {
				continue
			}
			sp, ok, err := loc.at(ctx, i)
			if err != nil {
				return err
			}
			if ok {
				spots = append(spots, sp)
			}
		}
		if more, err := rd.emit(ctx, spots); err != nil || !more {
			return err
		}
	}
	return nil
}

// emit reads the results at the spots, each segment once, and yields those wanted in the order of the targets.
func (rd *resultReader) emit(ctx context.Context, spots []spot) (more bool, err error) {
	slices.SortFunc(spots, func(a, b spot) int { return cmp.Or(a.seq-b.seq, a.row-b.row) })
	var rs []muster.Result
	for len(spots) > 0 {
		n := 1
		for n < len(spots) && spots[n].seq == spots[0].seq {
			n++
		}
		if rs, err = rd.collect(ctx, rs, spots[:n]); err != nil {
			return false, err
		}
		spots = spots[n:]
	}
	slices.SortFunc(rs, func(a, b muster.Result) int { return a.Index - b.Index })
	for _, r := range rs {
		if !rd.yield(r) {
			return false, nil
		}
	}
	return true, nil
}

// collect appends the wanted results among spots of one segment.
func (rd *resultReader) collect(ctx context.Context, rs []muster.Result, spots []spot) ([]muster.Result, error) {
	seq := spots[0].seq
	id := partKey(rd.j.num, seq)
	var packed []byte
	if err := rd.s.read.QueryRowContext(ctx, sqlHead, id).Scan(&packed); err != nil {
		return rs, rd.s.damaged(&rd.j, id, err)
	}
	h, err := rd.s.p.openHead(packed, rd.j.Ledger.Targets)
	if err != nil {
		return rs, rd.s.damaged(&rd.j, id, err)
	}
	var o *openSegment
	for _, sp := range spots {
		if sp.row >= len(h.index) {
			return rs, rd.s.damaged(&rd.j, id, errCorrupt)
		}
		if !rd.q.keeps(&h, sp.row) {
			continue
		}
		if o == nil {
			if o, err = rd.open(ctx, seq, h); err != nil {
				return rs, err
			}
		}
		r, err := rd.result(ctx, o, sp.row)
		if err != nil {
			return rs, rd.s.damaged(&rd.j, id, err)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// places finds results by target: from the locator of an ended job, else by looking
// through the heads of all segments once.
type places struct {
	s     *Store
	j     *jobRow
	chunk int // number of the locator row in part, or -1
	part  []uint32
	all   []uint32
}

func (p *places) at(ctx context.Context, index int) (sp spot, ok bool, err error) {
	var v uint32
	if p.j.located > 0 {
		if err := p.load(ctx, index/locatorTargets); err != nil {
			return spot{}, false, err
		}
		v = p.part[index%locatorTargets]
	} else {
		if p.all == nil {
			if err := p.scan(ctx); err != nil {
				return spot{}, false, err
			}
		}
		v = p.all[index]
	}
	if v == 0 {
		return spot{}, false, nil
	}
	v--
	return spot{int(v >> placeBits), int(v & (1<<placeBits - 1))}, true, nil
}

func (p *places) load(ctx context.Context, chunk int) error {
	if p.chunk == chunk {
		return nil
	}
	var packed []byte
	id := partKey(p.j.num, chunk)
	if err := p.s.read.QueryRowContext(ctx, sqlLocator, id).Scan(&packed); err != nil {
		return p.s.failed("read locator from", err)
	}
	vs, err := p.s.p.openLocator(packed, min(locatorTargets, p.j.Ledger.Targets-chunk*locatorTargets))
	if err != nil {
		return p.s.failed("read locator from", err)
	}
	p.chunk, p.part = chunk, vs
	return nil
}

func (p *places) scan(ctx context.Context) error {
	p.all = make([]uint32, p.j.Ledger.Targets)
	return p.s.heads(ctx, p.j, -1, func(seq int, h headColumns) (bool, error) {
		for row, i := range h.index {
			if p.all[i] == 0 {
				p.all[i] = uint32(seq<<placeBits|row) + 1
			}
		}
		return true, nil
	})
}
