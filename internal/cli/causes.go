package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
	"github.com/musterhq/muster/sink"
)

const (
	// causesShown is how many causes a run names at its end.
	causesShown = 5
	// maxCauses bounds what is kept of a fleet that fails in ever new ways.
	maxCauses = 1000
)

// causes gathers what went wrong in a run by its reason, for its last lines. The zero value is
// ready for use.
type causes struct {
	members map[string]*rollup.Members
	missed  int // targets whose cause came after maxCauses others
}

// add takes what went wrong in itself: targets that were left out because of others did not.
func (c *causes) add(batch []muster.Result) {
	for i := range batch {
		r := &batch[i]
		switch r.Outcome {
		case muster.OK, muster.NotAttempted, muster.Canceled:
			continue
		}
		short := muster.Result{Outcome: r.Outcome, Failure: r.Failure, Reason: r.Reason} // no detail: it differs
		key := sink.Verdict(&short)
		m := c.members[key]
		if m == nil {
			if len(c.members) == maxCauses {
				c.missed++
				continue
			}
			if c.members == nil {
				c.members = map[string]*rollup.Members{}
			}
			m = &rollup.Members{}
			c.members[key] = m
		}
		m.Add(r.Index)
	}
}

// print writes a line per cause, the most frequent first, each cut to width unless that is 0:
// "     12 unexpected (status 503): web[1-12]".
func (c *causes) print(w io.Writer, list muster.List, width int) {
	keys := slices.SortedFunc(maps.Keys(c.members), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.members[b].Len(), c.members[a].Len()), cmp.Compare(a, b))
	})
	more := c.missed
	for i, key := range keys {
		m := c.members[key]
		if i >= causesShown {
			more += m.Len()
			continue
		}
		text := fmt.Sprintf("%7d %s: ", m.Len(), sink.Visible(key))
		limit := 0
		if width > 0 {
			limit = max(width-len(text), 20)
		}
		fmt.Fprintln(w, cutRunes(text+sink.Visible(m.Nodes(list, limit)), width))
	}
	if more > 0 {
		fmt.Fprintf(w, "%7d for other reasons\n", more)
	}
}

// cutRunes shortens a text to a width; 0 cuts nothing.
func cutRunes(s string, width int) string {
	if r := []rune(s); width > 0 && len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
