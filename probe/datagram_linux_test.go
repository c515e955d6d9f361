package probe

import (
	"context"

	"github.com/musterhq/muster"
)

// packetPaths drive one target through an event loop.
func packetPaths() []datagramPath {
	return []datagramPath{{"loop", func(ctx context.Context, p muster.Prober, t muster.Target) muster.Result {
		b := p.(muster.BatchProber)
		if !b.Batchable(t) {
			return muster.Result{Reason: "not batchable"}
		}
		f := &feed{targets: []muster.Target{t}}
		b.ProbeBatch(ctx, f)
		if len(f.results) != 1 {
			return muster.Result{Reason: "not reported once"}
		}
		return f.results[0]
	}}}
}
