package fanout

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster"
)

// noPort is what a probe says when the kernel has no local port left.
func noPort() muster.Result {
	return muster.Result{Transient: true, Reason: "ports"}.Fail(muster.FailLocal, "cannot assign requested address")
}

// TestBouncesOutlastUsedPorts has 40 ports, each of which TCP keeps back for a minute after its use.
func TestBouncesOutlastUsedPorts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ports := make(chan struct{}, 40)
		rs := collect(t, &Engine{}, hosts{n: 200}, muster.ProberFunc(func(context.Context, muster.Target) muster.Result {
			select {
			case ports <- struct{}{}:
				time.AfterFunc(time.Minute, func() { <-ports })
				return okResult()
			default:
				return noPort()
			}
		}))
		if led := ledgerOf(rs); led.Count(muster.OK) != 200 {
			t.Errorf("ledger = %s, want every target to wait for a port", &led)
		}
		for len(ports) > 0 {
			<-time.After(time.Minute) // of the bubble's clock: the last ports are given back
		}
	})
}

// TestBouncesEnd has no port at all: the job must not wait for ever.
func TestBouncesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		rs := collect(t, &Engine{}, hosts{n: 20}, muster.ProberFunc(func(context.Context, muster.Target) muster.Result {
			return noPort()
		}))
		led := ledgerOf(rs)
		if took := time.Since(begun); led.ByFailure[muster.FailLocal] != 20 || took < bounceLimit || took > bounceLimit+5*time.Second {
			t.Errorf("after %v: %s; want 20 local failures after %v", took, &led, bounceLimit)
		}
	})
}
