package probe

import (
	"math/bits"
	"time"
)

const (
	wheelSlots = 4096 // of a tick each: a power of two
	wheelTick  = time.Millisecond
)

// packetWheel holds flights by the tick in which their time is over. Those of later rounds share the slots, and
// are passed over until their own. The zero value is empty.
type packetWheel struct {
	slots  [wheelSlots]*packetFlight
	filled [wheelSlots / 64]uint64
	past   int64 // the last tick that has been looked at
}

// packetTimer is a flight's place on the wheel.
type packetTimer struct {
	tick       int64
	on         bool
	prev, next *packetFlight
}

// set puts f where its time is over at the given moment, or a little later.
func (w *packetWheel) set(f *packetFlight, at time.Duration) {
	w.stop(f)
	tick := max(int64((at+wheelTick-1)/wheelTick), w.past+1)
	head := &w.slots[tick%wheelSlots]
	f.timer = packetTimer{tick: tick, on: true, next: *head}
	if *head != nil {
		(*head).timer.prev = f
	}
	*head = f
	w.filled[tick%wheelSlots/64] |= 1 << (tick % 64)
}

// stop takes f off, when it is on.
func (w *packetWheel) stop(f *packetFlight) {
	t := &f.timer
	if !t.on {
		return
	}
	slot := t.tick % wheelSlots
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else if w.slots[slot] = t.next; t.next == nil {
		w.filled[slot/64] &^= 1 << (slot % 64)
	}
	*t = packetTimer{}
}

// advance takes off every flight whose time is over at now, and hands it to expire.
func (w *packetWheel) advance(now time.Duration, expire func(*packetFlight)) {
	end := int64(now / wheelTick)
	for from := max(w.past+1, end-wheelSlots+1); from <= end; from++ {
		w.past = from
		for f := w.slots[from%wheelSlots]; f != nil; {
			next := f.timer.next
			if f.timer.tick <= end {
				w.stop(f)
				expire(f)
			}
			f = next
		}
	}
	w.past = max(w.past, end)
}

// next returns the moment of the first filled slot after the past, at or before which no time is over; false when
// the wheel is empty.
func (w *packetWheel) next() (time.Duration, bool) {
	first := w.past + 1
	for i := int64(0); i <= wheelSlots; {
		slot := (first + i) % wheelSlots
		word := w.filled[slot/64] >> (slot % 64)
		if word != 0 {
			return time.Duration(first+i+int64(bits.TrailingZeros64(word))) * wheelTick, true
		}
		i += 64 - slot%64
	}
	return 0, false
}
