//go:build linux

package dial_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func TestBudgetBounds(t *testing.T) {
	t.Parallel()
	b := &dial.Budget{Limit: 5}
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			for range 20 {
				if err := b.Acquire(t.Context()); err != nil {
					t.Error(err)
					return
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				b.Release()
			}
		})
	}
	wg.Wait()
	if most.Load() > 5 || b.InUse() != 0 {
		t.Errorf("at most %d at once, %d in the end; want 5 and 0", most.Load(), b.InUse())
	}
}

func TestBudgetWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	b := &dial.Budget{Limit: 1}
	if !b.TryAcquire() || b.TryAcquire() {
		t.Fatal("a budget of one does not give exactly one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire = %v", err)
	}
	b.Release()
	if err := b.Acquire(t.Context()); err != nil {
		t.Errorf("Acquire after a waiter gave up = %v", err)
	}
	if b.Short() != 2 {
		t.Errorf("Short = %d, want 2", b.Short())
	}
}

func TestBudgetShrinksAndGrowsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &dial.Budget{Limit: 100}
		for range 41 {
			b.TryAcquire()
		}
		dial.Exhausted(b)
		if b.Max() != 40 || b.TryAcquire() {
			t.Errorf("Max = %d, want 40 and no more", b.Max())
		}
		time.Sleep(2 * time.Second) // virtual
		if !b.TryAcquire() || b.Max() != 46 {
			t.Errorf("Max = %d after two seconds, want 46", b.Max())
		}
	})
}

func TestDialWithoutBudget(t *testing.T) {
	t.Parallel()
	b := &dial.Budget{Limit: 1}
	b.TryAcquire()
	d := dial.Dialer{Budget: b}
	_, ap := listen(t, "tcp", "127.0.0.1:0")
	_, _, err := d.Open(ap)
	wantFailure(t, err, muster.FailLocal, dial.ReasonDescriptors)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = d.Dial(ctx, ap)
	wantFailure(t, err, muster.FailLocal, dial.ReasonDescriptors)
	if s := d.Shortage(); s.Descriptors != 2 {
		t.Errorf("Shortage = %+v", s)
	}
	b.Release()
	c, err := d.Dial(t.Context(), ap)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if b.InUse() != 0 {
		t.Errorf("InUse = %d", b.InUse())
	}
}

func TestHeadroom(t *testing.T) {
	t.Parallel()
	limit, err := dial.RaiseLimit()
	if err != nil {
		t.Fatal(err)
	}
	var d dial.Dialer
	n, why := d.Headroom(0)
	if n <= 0 || n > limit-dial.DefaultReserve || why != dial.ReasonDescriptors {
		t.Errorf("Headroom(0) = %d, %s with a limit of %d", n, why, limit)
	}
	big := dial.Dialer{Budget: &dial.Budget{Limit: 1 << 20}}
	if n, why := big.Headroom(1); n >= 1<<16 || why != dial.ReasonPorts {
		t.Errorf("Headroom(1) = %d, %s; want a port range", n, why)
	}
	if n, why := big.Headroom(math.MaxInt); n != 1<<20 || why != dial.ReasonDescriptors {
		t.Errorf("Headroom(MaxInt) = %d, %s", n, why)
	}
}

// TestHeadroomAfterAShortage takes what was open when the kernel had no more for the limit, for a while.
func TestHeadroomAfterAShortage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := dial.Dialer{Budget: &dial.Budget{Limit: 500}}
		for open, want := range map[int]int{40: 40, 0: 1} {
			d.NoteShort(open, dial.ReasonPorts)
			if n, why := d.Headroom(0); n != want || why != dial.ReasonPorts {
				t.Errorf("Headroom = %d, %s after a shortage at %d", n, why, open)
			}
		}
		<-time.After(1100 * time.Millisecond) // of the bubble's clock: the shortage is over by then
		if n, why := d.Headroom(0); n != 500 || why != dial.ReasonDescriptors {
			t.Errorf("Headroom = %d, %s long after the shortage", n, why)
		}
	})
}

func TestParsePortRange(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"32768\t60999\n": 28232, "1 65535": 65535, "9 9": 1,
		"": 28232, "x 9": 28232, "9 1": 28232, "0 5": 28232, "1 99999": 28232,
	} {
		if got := dial.ParsePortRange(s); got != want {
			t.Errorf("parsePortRange(%q) = %d, want %d", s, got, want)
		}
	}
}
