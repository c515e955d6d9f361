package dial

import (
	"context"
	"sync/atomic"
	"testing"
)

// TestReclaimTakesWhatIsOnlyKept has spare sockets closed for those who want a descriptor, and only as many.
func TestReclaimTakesWhatIsOnlyKept(t *testing.T) {
	t.Parallel()
	b := &Budget{Limit: 3}
	var kept atomic.Int32
	stop := b.Reclaim(func() bool {
		if kept.Add(-1) < 0 {
			kept.Add(1)
			return false
		}
		b.Release()
		return true
	})
	for range 3 {
		if !b.TryAcquire() {
			t.Fatal("a free descriptor was not given")
		}
	}
	kept.Store(2)
	if err := b.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.TryAcquire() {
		t.Error("the second spare was not closed")
	}
	if b.TryAcquire() || kept.Load() != 0 || b.InUse() != 3 {
		t.Errorf("in use %d with %d spares left, want 3 and 0", b.InUse(), kept.Load())
	}
	kept.Store(1)
	stop()
	if b.TryAcquire() {
		t.Error("a spare was closed after stop")
	}
}

// TestReclaimAfterQueueing has a spare closed that came to be after the first look for one.
func TestReclaimAfterQueueing(t *testing.T) {
	t.Parallel()
	b := &Budget{Limit: 1}
	asked := 0
	defer b.Reclaim(func() bool {
		if asked++; asked == 1 {
			return false
		}
		if !b.Crowded() {
			t.Error("nobody waits at the second look")
		}
		b.Release()
		return true
	})()
	b.TryAcquire() // asks nobody: it is free
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := b.Acquire(ctx); err != nil || asked != 2 {
		t.Errorf("%v after %d looks, want success after 2", err, asked)
	}
}
