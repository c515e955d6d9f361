package nodeset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Resolver knows groups of nodes. A source is a name space of groups; the empty
// source is the default one. Texts it returns are expressions and may name
// further groups, which are looked up in the same source unless they say another.
// Its errors end the Parse and are wrapped in the error returned.
type Resolver interface {
	// Group returns the nodes of a group; an unknown group is an error.
	Group(ctx context.Context, source, name string) (string, error)
	// Groups returns the names of the groups of a source.
	Groups(ctx context.Context, source string) ([]string, error)
	// All returns all nodes of a source. If it returns [errors.ErrUnsupported],
	// they are the nodes of all groups.
	All(ctx context.Context, source string) (string, error)
}

// A groupRef is one group, or with name "*" all nodes of a source.
type groupRef struct{ source, name string }

const allNodes = "*"

func (r groupRef) String() string {
	if r.source == "" {
		return "@" + r.name
	}
	return "@" + r.source + ":" + r.name
}

var errNoResolver = errors.New("no source of node groups is configured")

// readGroups hands the union of the groups that the operand names to ev.
func (o *operand) readGroups(ctx context.Context, ev *evaluator) error {
	names, err := o.set()
	if err != nil {
		return err
	}
	if !o.session.budget.spendAll(names.size) {
		return o.tooLarge(o.start)
	}
	for name := range names.All() {
		s, err := o.session.group(ctx, name[1:], o.scope)
		if err != nil {
			return o.wrap(err)
		}
		ev.sets = append(ev.sets, s)
	}
	return nil
}

// wrap says where in the text a group or a wildcard could not be resolved.
func (o *operand) wrap(err error) error {
	return fmt.Errorf("node set %q: column %d: %w", excerpt(o.text, o.start), o.start+1, err)
}

// group resolves what follows the @: name, source:name, *, source:*, @source.
func (s *session) group(ctx context.Context, name string, sc scope) (*Set, error) {
	if source, ok := strings.CutPrefix(name, "@"); ok {
		names, err := s.groupNames(ctx, source)
		return New(names...), err
	}
	ref := groupRef{sc.source, name}
	if source, name, ok := strings.Cut(name, ":"); ok {
		ref = groupRef{source, name}
	}
	return s.lookup(ctx, ref, sc)
}

// lookup resolves a group once; groups that lead back to themselves are errors.
func (s *session) lookup(ctx context.Context, ref groupRef, sc scope) (*Set, error) {
	if known := s.known[ref]; known != nil {
		return known, nil
	}
	if i := slices.Index(sc.path, ref); i >= 0 {
		return nil, fmt.Errorf("group cycle %s", joinRefs(append(slices.Clone(sc.path[i:]), ref)))
	}
	if s.resolver == nil {
		return nil, fmt.Errorf("group %s: %w", ref, errNoResolver)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("group %s: %w", ref, err)
	}
	inside := scope{source: ref.source, path: append(slices.Clone(sc.path), ref)}
	set, err := s.resolve(ctx, ref, inside)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", ref, err)
	}
	s.known[ref] = set
	return set, nil
}

func (s *session) resolve(ctx context.Context, ref groupRef, inside scope) (*Set, error) {
	if ref.name != allNodes {
		text, err := s.resolver.Group(ctx, ref.source, ref.name)
		if err != nil {
			return nil, err
		}
		return s.parse(ctx, text, inside)
	}
	text, err := s.resolver.All(ctx, ref.source)
	if err == nil {
		return s.parse(ctx, text, inside)
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	return s.everyGroup(ctx, ref.source, inside)
}

// everyGroup is the union of all groups of a source.
func (s *session) everyGroup(ctx context.Context, source string, inside scope) (*Set, error) {
	names, err := s.groupNames(ctx, source)
	if err != nil {
		return nil, err
	}
	sets := make([]*Set, 0, len(names))
	for _, name := range names {
		set, err := s.lookup(ctx, groupRef{source, name}, inside)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	return (&builder{budget: &s.budget}).uniteSets(sets), nil
}

// groupNames returns the sorted names of the groups of a source. The Resolver
// may fold them: rack[1-9].
func (s *session) groupNames(ctx context.Context, source string) ([]string, error) {
	if s.resolver == nil {
		return nil, fmt.Errorf("groups of source %q: %w", source, errNoResolver)
	}
	texts, err := s.resolver.Groups(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("groups of source %q: %w", source, err)
	}
	set, err := s.parse(ctx, strings.Join(texts, " "), scope{literal: true})
	if err != nil {
		return nil, fmt.Errorf("groups of source %q: %w", source, err)
	}
	if !s.budget.spendAll(set.size) {
		return nil, fmt.Errorf("groups of source %q: %w", source, ErrTooLarge)
	}
	return slices.Collect(set.All()), nil
}

func joinRefs(refs []groupRef) string {
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.String()
	}
	return strings.Join(names, " -> ")
}
