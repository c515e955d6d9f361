//go:build !linux

package probe

import (
	"context"
	"time"

	"github.com/musterhq/muster"
)

// Probe fails: ICMP sockets are opened on Linux alone.
func (p *pingProber) Probe(context.Context, muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}.Fail(muster.FailLocal, "ping works on Linux only")
	r.Reason = "ping needs linux"
	return r
}

func (p *pingProber) permitted() error { return nil }

func (w *icmpWire) open(int) (int, error) { _, _, err := w.p.env.Dialer.OpenICMP(4); return -1, err }
