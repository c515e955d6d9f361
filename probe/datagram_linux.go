package probe

import (
	"context"

	"github.com/musterhq/muster"
)

var (
	_ muster.BatchProber = (*udpProber)(nil)
	_ muster.BatchProber = (*dnsProber)(nil)
)

// Batchable reports that all datagrams fit one event loop.
func (p *udpProber) Batchable(muster.Target) bool { return true }

// ProbeBatch drives the targets of f over one socket per address family, on the calling goroutine.
func (p *udpProber) ProbeBatch(ctx context.Context, f muster.Feed) {
	probeBatch(ctx, p, f)
}

// Batchable reports that all questions over UDP fit one event loop.
func (p *dnsProber) Batchable(muster.Target) bool { return p.overUDP() }

// ProbeBatch drives the targets of f over one socket per address family, on the calling goroutine.
func (p *dnsProber) ProbeBatch(ctx context.Context, f muster.Feed) {
	probeBatch(ctx, p, f)
}
