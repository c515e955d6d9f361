package inventory

import (
	"context"
	"fmt"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory/hostfile"
)

func (q *Query) eachReader() hostfile.Reader {
	r := *q.Each
	r.Each = true
	return r
}

// fillEach adds one target for each row, all at the one base address. Identical
// rows stay apart.
func (q *Query) fillEach(ctx context.Context, b *builder) error {
	base, err := q.base(ctx)
	if err != nil {
		return err
	}
	b.spool.base = base
	from, n := form{base.Scheme, base.Port, cleanRoot(base.Path)}, 0
	for row, err := range q.eachReader().Rows(ctx) {
		if err != nil {
			return err
		}
		n++
		if err := b.addRow(from, base, &row, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addRow(from form, base muster.Target, row *hostfile.Row, n int) error {
	b.listed++
	t := base
	id := row.ID
	if id == "" {
		id = fmt.Sprint(n)
	}
	t.ID = base.ID + "#" + id
	t.Labels = overlay(base.Labels, withGroups(row.Labels, row.Groups))
	t.Vars = overlay(base.Vars, row.Vars)
	t.Off = row.Off || base.Off
	h := host{t.Host, t.Addr}
	if b.exclude.has(from, h, t.ID) {
		b.excluded++
		return nil
	}
	if !b.selector.Match(&t) {
		b.unselected++
		return nil
	}
	if row.Err != nil {
		b.defects.add(row.Err)
	}
	b.uniform.note(from, h, false)
	return b.record(&t, "", row.Err)
}

// base returns the one target that the rows of Each go to.
func (q *Query) base(ctx context.Context) (muster.Target, error) {
	one := *q
	one.Each, one.Exclude, one.Selector, one.Limit = nil, nil, "", muster.Size{}
	if len(q.Sets)+len(q.Stored)+len(q.Groups)+len(q.Hostfiles) == 0 {
		if q.Base == "" {
			return muster.Target{}, muster.Errorf(muster.KindInvalid,
				"--each %s: name the one target that its rows go to, as in -w https://api.example.com", inputName(q.Each.Path))
		}
		one.Sets = []string{q.Base}
	}
	f, err := Freeze(ctx, one)
	if err != nil {
		return muster.Target{}, err
	}
	defer f.Close() // read only: nothing to lose
	if f.Len() != 1 {
		return muster.Target{}, muster.Errorf(muster.KindInvalid,
			"--each %s needs one target for its rows, not %d: %s", inputName(q.Each.Path), f.Len(), q.sources())
	}
	return f.At(0)
}
