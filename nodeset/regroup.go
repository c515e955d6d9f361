package nodeset

import (
	"cmp"
	"context"
	"slices"
)

// Regroup writes s with the groups of a source that it contains whole, the
// largest first, and what no group covers as folded names: @rack[1-3],web7. An
// empty source means the default one and writes no prefix. A group is used only
// if none of its nodes is in one used before.
func (p Parser) Regroup(ctx context.Context, s *Set, source string) (string, error) {
	session := p.session()
	names, err := session.groupNames(ctx, source)
	if err != nil {
		return "", err
	}
	type candidate struct {
		name  string
		nodes *Set
	}
	var whole []candidate
	for _, name := range names {
		nodes, err := session.lookup(ctx, groupRef{source, name}, scope{})
		if err != nil {
			return "", err
		}
		if nodes.size > 0 && s.Includes(nodes) {
			whole = append(whole, candidate{name, nodes})
		}
	}
	slices.SortFunc(whole, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.nodes.size, a.nodes.size), cmp.Compare(a.name, b.name))
	})
	var used gatherer
	rest := s
	for _, c := range whole {
		if rest.Includes(c.nodes) {
			used.addName(groupRef{source, c.name}.String())
			rest = rest.Difference(c.nodes)
		}
	}
	groups := Folding{groups: true}.text(used.set(&builder{}))
	if groups == "" || rest.size == 0 {
		return groups + rest.String(), nil
	}
	return groups + "," + rest.String(), nil
}
