package inventory

// region is a set of targets to test others against. A member that says no
// scheme, port or path matches whatever the other says there. It is not
// changed once it is in use.
type region struct {
	forms map[form]*hosts
	ids   map[string]struct{} // of members and of targets with ids of their own
}

// hosts is a set of hosts.
type hosts struct {
	names  map[string]struct{}
	shapes map[string]buckets
	grids  int // how many there are in shapes
}

// buckets index grids by the numbers of their first two dimensions plus 1, where
// those have one number only, else 0: overlapping grids meet in few buckets.
type buckets map[[2]uint64][]grid

func (r *region) hosts(f form) *hosts {
	h := r.forms[f]
	if h == nil {
		h = &hosts{names: map[string]struct{}{}, shapes: map[string]buckets{}}
		if r.forms == nil {
			r.forms = map[form]*hosts{}
		}
		r.forms[f] = h
	}
	return h
}

// add puts an item in, its filters applied.
func (r *region) add(it *item) error {
	if it.single() {
		if it.err == nil && it.passes(it.form, it.host, it.id) {
			r.addHost(it)
		}
		return nil
	}
	whole := *it
	whole.grid = it.grid.matching()
	g, err := whole.filtered(it.form)
	if err == nil && g.len() > 0 {
		r.hosts(it.form).addGrid(g)
	}
	return err
}

func (r *region) addHost(it *item) {
	if it.id == "" || it.id == it.form.address(it.host) {
		r.hosts(it.form).names[it.host.name] = struct{}{}
		return
	}
	if r.ids == nil {
		r.ids = map[string]struct{}{}
	}
	r.ids[it.id] = struct{}{}
}

func (h *hosts) addGrid(g grid) {
	b := h.shapes[g.shape]
	if b == nil {
		b = buckets{}
		h.shapes[g.shape] = b
	}
	key, _ := g.bucket()
	b[key] = append(b[key], g)
	h.grids++
}

// bucket returns the grid's bucket, and how many of its dimensions it names.
func (b *box) bucket() (key [2]uint64, named int) {
	for d := range min(2, len(b.dims)) {
		if b.dims[d].n != 1 {
			return key, d
		}
		key[d] = b.dims[d].spans[0].lo + 1
	}
	return key, 2
}

// has reports whether the region has the host in form f, or the id.
func (r *region) has(f form, h host, id string) bool {
	if len(r.forms)+len(r.ids) == 0 {
		return false
	}
	if id != "" {
		if _, ok := r.ids[id]; ok {
			return true
		}
		if r.hasText(id) {
			return true
		}
	}
	for i, general := range f.general() {
		if i > 0 && general == f {
			continue
		}
		if set := r.forms[general]; set != nil && set.has(h) {
			return true
		}
	}
	return false
}

// hasText reports whether an id of a target's own is written as a member with nothing but a host.
func (r *region) hasText(id string) bool {
	set := r.forms[form{}]
	if set == nil {
		return false
	}
	h, err := parseHost(id)
	return err == nil && set.has(h)
}

// exactly reports whether the region has the host in just that form.
func (r *region) exactly(f form, h host) bool {
	set := r.forms[f]
	return set != nil && set.has(h)
}

func (h *hosts) has(x host) bool {
	if _, ok := h.names[x.name]; ok {
		return true
	}
	if h.grids == 0 {
		return false
	}
	var buf [256]byte
	shape, c := x.appendShape(buf[:0])
	b := h.shapes[string(shape)]
	for _, key := range [3][2]uint64{{c[0] + 1, c[1] + 1}, {c[0] + 1, 0}, {0, 0}} {
		for _, g := range b[key] {
			if g.has(&c) {
				return true
			}
		}
	}
	return false
}

// within returns the ranks in g's box of the hosts that the region has in a form that covers f.
func (r *region) within(g grid, f form) (ranges, error) {
	var spans []span
	for i, general := range f.general() {
		if i > 0 && general == f {
			continue
		}
		set := r.forms[general]
		if set == nil {
			continue
		}
		var err error
		if spans, err = set.within(spans, g); err != nil {
			return ranges{}, err
		}
	}
	return newRanges(spans), nil
}

func (h *hosts) within(spans []span, g grid) ([]span, error) {
	spans = h.namesWithin(spans, g)
	b := h.shapes[g.shape]
	if key, named := g.bucket(); named == 2 && len(g.dims) >= 2 {
		return gather(spans, g, b[key], b[[2]uint64{key[0], 0}], b[[2]uint64{}])
	}
	var err error
	for _, grids := range b {
		if spans, err = gather(spans, g, grids); err != nil {
			return nil, err
		}
	}
	return spans, nil
}

func gather(spans []span, g grid, sets ...[]grid) ([]span, error) {
	for _, set := range sets {
		for _, o := range set {
			s, err := overlap(g, o)
			if err != nil || len(spans)+len(s) > 4*maxPieces {
				return nil, errTooComplex
			}
			spans = append(spans, s...)
		}
	}
	return spans, nil
}

// namesWithin goes through the fewer of both: the set's single hosts, or the grid's.
func (h *hosts) namesWithin(spans []span, g grid) []span {
	if len(h.names) == 0 {
		return spans
	}
	var buf [256]byte
	if g.len() < uint64(len(h.names)) {
		for i := range g.len() {
			r := g.rankAt(i)
			text, _ := g.appendHost(buf[:0], r)
			if _, ok := h.names[string(text)]; ok {
				spans = append(spans, span{r, r})
			}
		}
		return spans
	}
	for name := range h.names {
		x, err := parseHost(name)
		if err != nil {
			continue
		}
		shape, c := x.appendShape(buf[:0])
		if string(shape) != g.shape {
			continue
		}
		if r, ok := g.rank(&c); ok {
			spans = append(spans, span{r, r})
		}
	}
	return spans
}
