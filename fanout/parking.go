package fanout

import "github.com/musterhq/muster"

// maxParked bounds how far the window looks past targets whose host or label is at its
// cap. Their memory is bounded by it, and a look ahead farther than this seldom pays.
const maxParked = 4096

// lookAgain is how many parked targets must have left a full parking before the window looks
// further: one by one, each end of an attempt would read the list for a target that cannot start.
const lookAgain = 64

// parking holds what waits because a cap is full, by that cap, so that the end of one attempt finds
// what may follow it without a search. The zero value is empty.
type parking[T any] struct {
	n     int
	full  bool // and has not been left by lookAgain since
	lots  map[capKey]*lot[T]
	ready []capKey // whose cap had an end since
	last  capKey   // the one that was parked at last, for the status
}

// lot is a queue.
type lot[T any] struct {
	items []T
	head  int // of items, those before it have been taken
}

// push uses the room of what was taken again, before it asks for more.
func (q *lot[T]) push(v T) {
	if len(q.items) == cap(q.items) && 2*q.head >= len(q.items) && q.head > 0 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *lot[T]) pop() (v T) {
	v, q.items[q.head] = q.items[q.head], v
	q.head++
	return v
}

func (q *lot[T]) empty() bool { return q == nil || q.head == len(q.items) }

func (p *parking[T]) push(key capKey, v T) {
	if p.lots == nil {
		p.lots = map[capKey]*lot[T]{}
	}
	q := p.lots[key]
	if q == nil {
		q = &lot[T]{}
		p.lots[key] = q
	}
	q.push(v)
	p.last = key
	p.n++
	p.full = p.full || p.n >= maxParked
}

func (p *parking[T]) left() {
	p.n--
	p.full = p.full && p.n > maxParked-lookAgain
}

// freed notes that an attempt on t has ended.
func (p *parking[T]) freed(c *caps, t *muster.Target) {
	if p.n == 0 {
		return
	}
	if key := hostKey(t); !p.lots[key].empty() {
		p.ready = append(p.ready, key)
	}
	for i, g := range c.groups {
		v, ok := t.Labels[g.Label]
		if key := (capKey{c.kinds[i], v}); ok && !p.lots[key].empty() {
			p.ready = append(p.ready, key)
		}
	}
}

// pop returns what has waited longest for a cap that had an end, with that cap. The caller checks
// all caps again, and parks it anew if another one is full, or has been filled since.
func (p *parking[T]) pop() (key capKey, v T, ok bool) {
	for len(p.ready) > 0 {
		key = p.ready[len(p.ready)-1]
		p.ready = p.ready[:len(p.ready)-1]
		q := p.lots[key]
		if q.empty() {
			continue
		}
		if v = q.pop(); q.empty() {
			delete(p.lots, key)
		}
		p.left()
		return key, v, true
	}
	return key, v, false
}

// repark puts back what pop returned for the cap from, under the cap that is full. The end that made
// room at from still stands for the next one there.
func (p *parking[T]) repark(from, full capKey, v T) {
	p.push(full, v)
	if full != from {
		p.ready = append(p.ready, from)
	}
}

// why names the cap that holds targets back.
func (p *parking[T]) why() string { return p.last.kind }

// drain empties the parking, yielding what was in it.
func (p *parking[T]) drain(yield func(T) bool) {
	for key, q := range p.lots {
		delete(p.lots, key)
		for _, v := range q.items[q.head:] {
			p.left()
			if !yield(v) {
				return
			}
		}
	}
}
