package inventory

// cutGrid is a grid without what filters, excludes and earlier items take, and how much they took.
type cutGrid struct {
	grid                         grid
	listed, excluded, duplicates int
}

func (b *builder) cut(it *item, f form) (c cutGrid, err error) {
	if c.grid, err = it.filtered(f); err != nil {
		return c, err
	}
	c.listed = int(c.grid.len())
	if c.excluded, err = c.grid.drop(func(g grid) (ranges, error) { return b.exclude.within(g, f) }); err != nil {
		return c, err
	}
	c.duplicates, err = c.grid.drop(func(g grid) (ranges, error) { return b.listedIn(g, f) })
	return c, err
}

// drop takes out of g what find finds in it, and returns how much that is.
func (g *grid) drop(find func(grid) (ranges, error)) (int, error) {
	if g.len() == 0 {
		return 0, nil
	}
	hit, err := find(*g)
	if err != nil || hit.n == 0 {
		return 0, err
	}
	before, all := g.len(), g.all()
	kept := all.minus(&hit)
	if len(kept.spans) > maxPieces {
		return 0, errTooComplex
	}
	*g = g.only(kept)
	return int(before - g.len()), nil
}

// listedIn returns the ranks of g that are in the list already.
func (b *builder) listedIn(g grid, f form) (ranges, error) {
	var spans []span
	var err error
	if set := b.grids.forms[f]; set != nil {
		if spans, err = set.within(nil, g); err != nil {
			return ranges{}, err
		}
	}
	if b.spool.len() == 0 {
		return newRanges(spans), nil
	}
	if uint64(b.spool.len()) < g.len() {
		spans, err = b.spooledIn(spans, g, f)
		return newRanges(spans), err
	}
	return newRanges(b.idsIn(spans, g, f)), nil
}

// spooledIn goes through the spool for hosts of g.
func (b *builder) spooledIn(spans []span, g grid, f form) ([]span, error) {
	if err := b.spool.sync(); err != nil {
		return nil, err
	}
	var buf [256]byte
	for i := range b.spool.len() {
		t, _, err := b.spool.at(i)
		if err != nil {
			return nil, err
		}
		h := host{t.Host, t.Addr}
		if (form{t.Scheme, t.Port, cleanRoot(t.Path)}) != f || t.ID != f.address(h) {
			continue
		}
		shape, c := h.appendShape(buf[:0])
		if string(shape) != g.shape {
			continue
		}
		if r, ok := g.rank(&c); ok {
			spans = append(spans, span{r, r})
		}
	}
	return spans, nil
}

func cleanRoot(path string) string {
	if path == "/" {
		return ""
	}
	return path
}

// idsIn goes through g for ids of the spool.
func (b *builder) idsIn(spans []span, g grid, f form) []span {
	prefix, suffix := f.around(g.shape == shapeIPv6)
	var buf []byte
	for i := range g.len() {
		r := g.rankAt(i)
		buf, _ = g.appendHost(append(buf[:0], prefix...), r)
		buf = append(buf, suffix...)
		if b.ids.has(buf, buf) == seenSame {
			spans = append(spans, span{r, r})
		}
	}
	return spans
}
