package rollup

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/nodeset"
)

// Nodes returns the folded node set of the members, whose ids come from list, the one that
// the results belong to. With a limit above 0 a text of more bytes than that is cut
// between names, for people: "web[1-40,52],… (1203 more)". With 0 it is the whole set, which
// nodeset.Parse reads back.
func (g *Group) Nodes(list muster.List, limit int) string {
	return g.Members.Nodes(list, limit)
}

// Nodes returns the folded set of the members' ids, see [Group.Nodes].
func (m *Members) Nodes(list muster.List, limit int) string {
	return shorten(nodeset.Fold(ids(list, m.All())), limit)
}

// ids yields the ids of the targets with the given indexes; a row so defective that
// it has no id is called by its number.
func ids(list muster.List, indexes iter.Seq[int]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range indexes {
			id := ""
			if i < list.Len() {
				t, _ := list.At(i) // the row's defect is in its result
				id = t.ID
			}
			if id == "" {
				id = "#" + strconv.Itoa(i)
			}
			if !yield(id) {
				return
			}
		}
	}
}

// shorten writes s in limit bytes: the longest start of its names that fits, and how many are
// left. A start is folded, not written out, so that the search stays cheap.
func shorten(s *nodeset.Set, limit int) string {
	n := s.Len()
	if limit <= 0 {
		return s.String()
	}
	tail := len(fmt.Sprintf(",… (%d more)", n))
	fits, over := 0, 1
	for over < n && len(s.Range(0, over).String()) <= limit {
		fits, over = over, 2*over
	}
	if over >= n {
		if text := s.String(); len(text) <= limit {
			return text
		}
		over = n
	}
	for fits = 0; over-fits > 1; {
		if mid := fits + (over-fits)/2; len(s.Range(0, mid).String()) <= limit-tail {
			fits = mid
		} else {
			over = mid
		}
	}
	if fits == 0 {
		return fmt.Sprintf("… (%d)", n)
	}
	return fmt.Sprintf("%s,… (%d more)", s.Range(0, fits).String(), n-fits)
}
