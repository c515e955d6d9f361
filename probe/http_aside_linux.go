package probe

import (
	"context"

	"github.com/musterhq/muster"
)

// probeAside is ProbeBatch without an event loop, when there is no descriptor left for one: each exchange has a
// goroutine, and waits there for the descriptors that others give back.
func probeAside(ctx context.Context, p muster.Prober, f muster.Feed) {
	ready, ended := make(chan struct{}, 1), make(chan detourDone)
	f.Notify(func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	stop := ctx.Done()
	for flying, more := 0, true; ; {
		for more {
			var t muster.Target
			var ok bool
			if t, ok, more = f.Next(); !ok {
				break
			}
			flying++
			go func() { ended <- detourDone{t, p.Probe(ctx, t)} }()
		}
		f.Flush()
		if !more && flying == 0 {
			return
		}
		select {
		case d := <-ended:
			flying--
			f.Done(d.t, d.r)
		case <-ready:
		case <-stop:
			more, stop = false, nil // what is in flight comes back as canceled
		}
	}
}
