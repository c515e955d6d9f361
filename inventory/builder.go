package inventory

import (
	"context"
	"errors"
	"fmt"
	"hash"

	"github.com/musterhq/muster"
)

// smallGrid is how many targets a grid may have to be spelled out.
const smallGrid = 64

// builder makes the frozen list: it applies filters, excludes and the selector to
// one item after the other and drops duplicates. Single targets go to the spool,
// grids stay computations.
type builder struct {
	scheme   string
	port     uint16
	exclude  *region
	selector *Selector

	parts  []part
	spool  *spool
	ids    *idSet // of the spool
	grids  region // those among parts
	digest hash.Hash

	listed, excluded, unselected, duplicates int
	defects                                  defects
	uniform                                  uniform
}

// part is a stretch of the list: a grid, or consecutive records of the spool.
type part struct {
	start int // number of its first target in the list
	n     int
	grid  *gridPart
	from  int // first record, when grid is nil
}

func (b *builder) end() int {
	if len(b.parts) == 0 {
		return 0
	}
	last := b.parts[len(b.parts)-1]
	return last.start + last.n
}

// add takes the next item.
func (b *builder) add(ctx context.Context, it item) error {
	f := it.form.withDefaults(b.scheme, b.port)
	if b.listed%4096 == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case it.single():
		return b.addOne(&it, f, it.host)
	case it.len() <= smallGrid:
		return b.addEach(ctx, &it, f)
	}
	return b.addGrid(ctx, &it, f)
}

func (b *builder) addEach(ctx context.Context, it *item, f form) error {
	n := 0
	for h := range it.hosts() {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := b.addOne(it, f, h); err != nil {
			return err
		}
	}
	return nil
}

// addOne takes one target.
func (b *builder) addOne(it *item, f form, h host) error {
	if it.err == nil && !it.passes(f, h, it.id) {
		return nil
	}
	b.listed++
	t := it.target(f, h)
	if it.err == nil && b.exclude.has(f, h, it.id) {
		b.excluded++
		return nil
	}
	if !b.selector.Match(&t) {
		b.unselected++
		return nil
	}
	if it.err != nil {
		return b.addDefect(t, it.err)
	}
	address := t.ID
	if it.id != "" {
		address = f.address(h)
	}
	known, err := b.known(&t, address, f, h)
	switch {
	case err != nil:
		return b.addDefect(t, err)
	case known:
		b.duplicates++
		return nil
	}
	b.uniform.note(f, h, t.ID == address)
	return b.record(&t, address, nil)
}

// known reports whether the target is in the list already. Its error says
// that its id is there with another address.
func (b *builder) known(t *muster.Target, address string, f form, h host) (bool, error) {
	if t.ID == address && b.grids.exactly(f, h) {
		return true, nil
	}
	switch was := b.ids.add([]byte(t.ID), []byte(address)); {
	case was == seenSame:
		return true, nil
	case was == seenOtherAt, t.ID != address && b.isInGrid(t.ID):
		return false, fmt.Errorf("the id %q is taken by another address: give each row an id of its own", t.ID)
	}
	return false, nil
}

// isInGrid reports whether an id of a row's own is also the address of a range's target.
func (b *builder) isInGrid(id string) bool {
	if len(b.grids.forms) == 0 {
		return false
	}
	items, _, err := parseTerm(id)
	return err == nil && len(items) == 1 && items[0].single() && b.grids.exactly(items[0].form, items[0].host)
}

// addDefect lists a defective row under what is known of its id.
func (b *builder) addDefect(t muster.Target, err error) error {
	b.defects.add(err)
	if t.Host == "" {
		// Nothing is known about the address, the id alone stands for it.
		return b.record(&t, t.ID, err)
	}
	return b.record(&t, form{t.Scheme, t.Port, t.Path}.address(host{t.Host, t.Addr}), err)
}

// record spools a target.
func (b *builder) record(t *muster.Target, address string, defect error) error {
	if k := len(b.parts) - 1; k < 0 || b.parts[k].grid != nil {
		b.parts = append(b.parts, part{start: b.end(), from: b.spool.len()})
	}
	b.parts[len(b.parts)-1].n++
	return b.spool.append(t, address, defect)
}

// addGrid takes a grid as a whole.
func (b *builder) addGrid(ctx context.Context, it *item, f form) error {
	if b.selector.perHost() {
		return b.spelledOut(ctx, it, f)
	}
	cut, err := b.cut(it, f)
	if errors.Is(err, errTooComplex) && it.len() <= maxListed {
		return b.addEach(ctx, it, f)
	}
	if err != nil {
		return err
	}
	b.listed, b.excluded = b.listed+cut.listed, b.excluded+cut.excluded
	if cut.grid.len() == 0 {
		b.duplicates += cut.duplicates
		return nil
	}
	g := &gridPart{grid: cut.grid, form: f, path: f.urlPath()}
	g.prefix, g.suffix = f.around(g.shape == shapeIPv6)
	if it.meta != nil {
		g.meta = *it.meta
	}
	if t := g.target(0); !b.selector.Match(&t) {
		b.unselected += int(cut.grid.len()) + cut.duplicates
		return nil
	}
	if b.end()+int(g.len()) > maxTargets {
		return invalid(fmt.Errorf("targets: %w", errTooMany))
	}
	b.duplicates += cut.duplicates
	b.grids.hosts(f).addGrid(g.grid)
	b.uniform.noteGrid(f, g.grid)
	b.parts = append(b.parts, part{start: b.end(), n: int(g.len()), grid: g})
	return nil
}

// spelledOut takes the targets of a grid one by one, for a selector that looks at each.
func (b *builder) spelledOut(ctx context.Context, it *item, f form) error {
	if it.len() > 1<<32 {
		return invalid(fmt.Errorf("-l looks at each of %d targets: name a smaller range", it.len()))
	}
	return b.addEach(ctx, it, f)
}
