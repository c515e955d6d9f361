package fanout

import (
	"strings"

	"github.com/musterhq/muster"
)

// maxParked bounds how far the window looks past targets whose host or label is at its
// cap. Their memory is bounded by it, and a look ahead farther than this seldom pays.
const maxParked = 4096

// hostKey and groupKey name one cap: of a host, or of a label's value.
func hostKey(t *muster.Target) string     { return "h\x00" + t.Host }
func groupKey(label, value string) string { return "g" + label + "\x00" + value }

// capName is how the status names the cap of a key.
func capName(key string) string {
	if label, _, _ := strings.Cut(key, "\x00"); label[0] == 'g' {
		return "per-group " + label[1:]
	}
	return "per-host"
}

// parking holds targets whose cap is full, by that cap, so that the end of one attempt finds
// the target that may follow it without a search. The zero value is empty.
type parking struct {
	n     int
	lots  map[string][]muster.Target
	ready []string // keys whose cap had an end since
	last  string   // the key that was parked at last, for the status
}

func (p *parking) push(key string, t muster.Target) {
	if p.lots == nil {
		p.lots = map[string][]muster.Target{}
	}
	p.lots[key] = append(p.lots[key], t)
	p.last = key
	p.n++
}

// freed notes that an attempt on t has ended.
func (p *parking) freed(c *caps, t *muster.Target) {
	if p.n == 0 {
		return
	}
	if key := hostKey(t); len(p.lots[key]) > 0 {
		p.ready = append(p.ready, key)
	}
	for _, g := range c.groups {
		v, ok := t.Labels[g.Label]
		if key := groupKey(g.Label, v); ok && len(p.lots[key]) > 0 {
			p.ready = append(p.ready, key)
		}
	}
}

// pop returns the longest waiting target of a cap that had an end; the caller checks the
// caps again, for another target may have taken the room.
func (p *parking) pop() (muster.Target, bool) {
	for len(p.ready) > 0 {
		key := p.ready[len(p.ready)-1]
		p.ready = p.ready[:len(p.ready)-1]
		lot := p.lots[key]
		if len(lot) == 0 {
			continue
		}
		t := lot[0]
		if lot = lot[1:]; len(lot) == 0 {
			delete(p.lots, key)
		} else {
			p.lots[key] = lot
		}
		p.n--
		return t, true
	}
	return muster.Target{}, false
}

// why names the cap that holds targets back.
func (p *parking) why() string { return capName(p.last) }

// drain empties the parking, yielding what was in it.
func (p *parking) drain(yield func(muster.Target) bool) {
	for key, lot := range p.lots {
		for _, t := range lot {
			p.n--
			if !yield(t) {
				return
			}
		}
		delete(p.lots, key)
	}
}
