package sim

// timer is something to do at a time, unless the connection has been reused
// meanwhile.
type timer struct {
	at         int64 // nanoseconds on the loop's clock
	conn       *conn
	generation uint32
	volley     *lateVolley
}

// timers is a binary heap, the earliest first.
type timers []timer

func (h *timers) push(t timer) {
	*h = append(*h, t)
	q, i := *h, len(*h)-1
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].at <= t.at {
			break
		}
		q[i] = q[parent]
		i = parent
	}
	q[i] = t
}

func (h *timers) pop() timer {
	q := *h
	first, last := q[0], q[len(q)-1]
	q[len(q)-1] = timer{}
	q = q[:len(q)-1]
	*h = q
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].at < q[child].at {
			child++
		}
		if last.at <= q[child].at {
			break
		}
		q[i] = q[child]
		i = child
	}
	if len(q) > 0 {
		q[i] = last
	}
	return first
}
