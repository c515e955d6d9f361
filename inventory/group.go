package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// groupRef is one group, or with allNodes as its name all nodes of a source.
type groupRef struct{ source, name string }

const allNodes = "*"

func (r groupRef) String() string {
	if r.source == "" {
		return "@" + r.name
	}
	return "@" + r.source + ":" + r.name
}

// reference yields what a term that begins with @ stands for.
func (e *evaluator) reference(ctx context.Context, x expression, t term, yield yieldFunc) error {
	s := &scanner{what: x.what, text: x.text}
	name := t.text[1:]
	if run, what, ok := cutRun(name); ok {
		return e.run(ctx, s, t, run, what, yield)
	}
	if source, ok := strings.CutPrefix(name, "@"); ok {
		return e.groupNames(ctx, s, t, source, yield)
	}
	ref := groupRef{x.source, name}
	if source, inner, ok := strings.Cut(name, ":"); ok {
		ref = groupRef{source, inner}
	}
	if ref.name == "" {
		return s.errorf(t.at, `nothing follows "@": write the name of a group, or @* for all nodes`)
	}
	names, err := groupsNamed(ref.name)
	if err != nil {
		return s.errorf(t.at, "%w", err)
	}
	for _, name := range names {
		if err := e.group(ctx, groupRef{ref.source, name}, s, t, yield); err != nil {
			return err
		}
	}
	return nil
}

// groupsNamed spells out @rack[1-3].
func groupsNamed(name string) ([]string, error) {
	if !strings.Contains(name, "[") {
		return []string{name}, nil
	}
	p := pattern{digits: oneNumber(noDigits), exact: true}
	for i := 0; i < len(name); {
		n, err := p.feed(name[i:])
		if err != nil {
			return nil, err
		}
		i += n
	}
	b, err := p.box()
	if err != nil {
		return nil, err
	}
	if b.n > 1<<16 {
		return nil, fmt.Errorf("%q names %d groups: name fewer than 65,536", name, b.n)
	}
	names := make([]string, b.n)
	for i := range names {
		names[i] = b.host(uint64(i)).name
	}
	return names, nil
}

// maxGroupTexts bounds how many group texts one query reads, so that groups
// that name each other many times over end in an error.
const maxGroupTexts = 1 << 17

// group yields the items of a group, its name in their group label.
func (e *evaluator) group(ctx context.Context, ref groupRef, s *scanner, t term, yield yieldFunc) error {
	if e.resolver == nil {
		return s.errorf(t.at, "%v: no groups are configured: write a file in groups.d of muster's config folder", ref)
	}
	if slices.Contains(e.open, ref) {
		return s.errorf(t.at, "%v leads back to itself", ref)
	}
	if e.work++; e.work > maxGroupTexts {
		return s.errorf(t.at, "%v: more than %d groups in groups", ref, maxGroupTexts)
	}
	text, err := e.groupText(ctx, ref)
	if err != nil {
		return s.errorf(t.at, "%v: %w", ref, err)
	}
	e.open = append(e.open, ref)
	defer func() { e.open = e.open[:len(e.open)-1] }()
	tagged := map[*meta]*meta{}
	return e.eval(ctx, expression{"group " + ref.String(), text, ref.source}, func(it item) error {
		if ref.name == allNodes {
			return yield(it)
		}
		m := tagged[it.meta]
		if m == nil {
			m = it.meta.inGroup(ref.name)
			if it.id == "" {
				tagged[it.meta] = m
			}
		}
		it.meta = m
		return yield(it)
	})
}

func (e *evaluator) groupText(ctx context.Context, ref groupRef) (string, error) {
	if ref.name != allNodes {
		return e.resolver.Group(ctx, ref.source, ref.name)
	}
	text, err := e.resolver.All(ctx, ref.source)
	if !errors.Is(err, errors.ErrUnsupported) {
		return text, err
	}
	names, err := e.resolver.Groups(ctx, ref.source)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		b.WriteString(groupRef{ref.source, name}.String() + ",")
	}
	return b.String(), nil
}

// groupNames yields the names of a source's groups as hosts.
func (e *evaluator) groupNames(ctx context.Context, s *scanner, t term, source string, yield yieldFunc) error {
	if e.resolver == nil {
		return s.errorf(t.at, "@@%s: no groups are configured: write a file in groups.d of muster's config folder", source)
	}
	names, err := e.resolver.Groups(ctx, source)
	if err != nil {
		return s.errorf(t.at, "@@%s: %w", source, err)
	}
	for _, name := range names {
		h, err := parseHost(name)
		if err != nil {
			return s.errorf(t.at, "@@%s: %w", source, err)
		}
		if err := yield(item{host: h}); err != nil {
			return err
		}
	}
	return nil
}
