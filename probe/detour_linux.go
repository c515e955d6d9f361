package probe

import (
	"context"
	"sync"

	"github.com/musterhq/muster"
)

// detours are the exchanges that have left an event loop for goroutines, because their names must be looked up.
type detours struct {
	away  sync.WaitGroup
	mu    sync.Mutex
	ended []detourDone // guarded by mu
}

// detourDone is the end of one.
type detourDone struct {
	t muster.Target
	r muster.Result
}

// start does the exchange with t on a goroutine, and calls wake when it has ended.
func (d *detours) start(ctx context.Context, p muster.Prober, t muster.Target, wake func()) {
	d.away.Go(func() {
		r := p.Probe(ctx, t)
		d.mu.Lock()
		d.ended = append(d.ended, detourDone{t, r})
		d.mu.Unlock()
		wake()
	})
}

// take returns those that have ended since the last call.
func (d *detours) take() []detourDone {
	d.mu.Lock()
	defer d.mu.Unlock()
	ended := d.ended
	d.ended = nil
	return ended
}
