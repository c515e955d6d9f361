package dial

import "slices"

// Reclaim registers spare, which is called when a descriptor is wanted and none is left: it closes one
// socket that is only kept for later use and reports whether there was one. It is called concurrently, must not
// block, and may give descriptors back. stop takes it out again.
func (b *Budget) Reclaim(spare func() bool) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spares = append(b.spares, &spare)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.spares = slices.DeleteFunc(slices.Clone(b.spares), func(f *func() bool) bool { return f == &spare })
	}
}

// reclaim has one spare socket closed, if there is one. The lock is held, but not meanwhile.
func (b *Budget) reclaim() bool {
	spares := b.spares
	if len(spares) == 0 {
		return false
	}
	b.mu.Unlock()
	defer b.mu.Lock()
	for _, spare := range spares {
		if (*spare)() {
			return true
		}
	}
	return false
}

// Crowded reports whether somebody waits for a descriptor, so that none should be kept for later use.
func (b *Budget) Crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0
}

// Reclaim is [Budget.Reclaim] on the dialer's budget.
func (d *Dialer) Reclaim(spare func() bool) (stop func()) { return d.state().budget.Reclaim(spare) }

// Crowded is [Budget.Crowded] of the dialer's budget.
func (d *Dialer) Crowded() bool { return d.state().budget.Crowded() }
