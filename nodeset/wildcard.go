package nodeset

import (
	"context"
	"fmt"
	"strings"
)

// readWildcard hands the known nodes that match the operand to ev. Ranges in it
// stand for one mask each, as in ClusterShell.
func (o *operand) readWildcard(ctx context.Context, ev *evaluator) error {
	all, err := o.session.lookup(ctx, groupRef{o.scope.source, allNodes}, o.scope)
	if err != nil {
		return o.wrap(fmt.Errorf("wildcard %q: %w", o.text[o.start:o.pos], err))
	}
	masks, err := o.masks()
	if err != nil {
		return err
	}
	budget := &o.session.budget
	if !budget.spendAll(satMul(masks.size, all.size)) {
		return o.tooLarge(o.start)
	}
	for name := range all.All() {
		for mask := range masks.All() {
			if match(mask, name) {
				ev.pending.addName(name)
				break
			}
		}
	}
	return ctx.Err()
}

// masks is the operand as a set of masks, in which a backslash makes literal
// the byte behind it.
func (o *operand) masks() (*Set, error) {
	m := *o
	m.key = make([]byte, 0, 2*len(o.key))
	m.holes = append([]hole(nil), o.holes...)
	holes := m.holes
	for i := 0; i < len(o.key); i++ {
		c := o.key[i]
		switch {
		case c == '%' && o.key[i+1] == 's':
			holes[0].at, holes = len(m.key), holes[1:]
			m.key = append(m.key, "%s"...)
			i++
		case c == '%' && o.key[i+1] == '%':
			m.key = append(m.key, "%%"...)
			i++
		case c == '%':
			m.key = append(m.key, o.key[i+1])
			i++
		case c == '*' || c == '?' || c == '\\':
			m.key = append(m.key, '\\', c)
		default:
			m.key = append(m.key, c)
		}
	}
	return m.set()
}

// match reports whether mask matches the whole name: * any bytes, ? one
// character. It backtracks to the last star only, so it takes at most the product
// of the lengths.
func match(mask, name string) bool {
	m, n := 0, 0
	star, resume := -1, 0
	for n < len(name) {
		if m < len(mask) && mask[m] == '*' {
			star, resume = m, n
			m++
			continue
		}
		if dm, dn := matchOne(mask[m:], name[n:]); dm > 0 {
			m, n = m+dm, n+dn
			continue
		}
		if star < 0 {
			return false
		}
		resume++
		m, n = star+1, resume
	}
	return strings.Trim(mask[m:], "*") == ""
}

// matchOne matches the first element of mask, not a star, and returns how much
// of mask and name it took; 0 if it does not match.
func matchOne(mask, name string) (int, int) {
	switch {
	case mask == "":
		return 0, 0
	case mask[0] == '?':
		for i := range name {
			if i > 0 {
				return 1, i
			}
		}
		return 1, len(name)
	case mask[0] == '\\' && mask[1] == name[0]:
		return 2, 1
	case mask[0] == name[0] && mask[0] != '\\':
		return 1, 1
	}
	return 0, 0
}
