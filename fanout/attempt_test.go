package fanout

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster"
)

// TestAttemptLeavesTheTimeoutToTheProbe has a prober that keeps the timeout itself, like those of
// package probe, and takes the end of its context for the end of the job.
func TestAttemptLeavesTheTimeoutToTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fixed(10)
		p.Timeout = second
		rs := collect(t, &Engine{Plan: p}, hosts{n: 10}, muster.ProberFunc(func(ctx context.Context, _ muster.Target) muster.Result {
			select {
			case <-time.After(time.Second):
				return muster.Result{}.Fail(muster.FailConnectTimeout, "in its own words")
			case <-ctx.Done():
				return muster.Result{Outcome: muster.Canceled}
			}
		}))
		for _, r := range rs {
			if r.Failure != muster.FailConnectTimeout {
				t.Fatalf("%s %s (%s), want the prober's own connect_timeout", r.Outcome, r.Failure, r.Reason)
			}
		}
	})
}

// TestAttemptThatTimesOutIsNotCanceled ends attempts of probers that keep no timeout: the job was not
// canceled, and what one of them may have sent is not sent again.
func TestAttemptThatTimesOutIsNotCanceled(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		aborted  muster.Result
		attempts int
	}{
		{"says nothing", muster.Result{}, 1},
		{"says canceled before it sent", muster.Result{Outcome: muster.Canceled}, 3},
		{"says canceled after it sent", muster.Result{Outcome: muster.Canceled, Sent: true}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				p := fixed(1)
				p.Timeout, p.Retries, p.Repeat = second, 2, muster.RepeatNever
				r := collect(t, &Engine{Plan: p}, hosts{n: 1}, muster.ProberFunc(func(ctx context.Context, _ muster.Target) muster.Result {
					calls.Add(1)
					<-ctx.Done()
					return tc.aborted
				}))[0]
				if r.Failure != muster.FailTimeout || r.Reason != "timeout" || int(calls.Load()) != tc.attempts {
					t.Errorf("%s %s (%s) after %d attempts, want timeout after %d", r.Outcome, r.Failure, r.Reason, calls.Load(), tc.attempts)
				}
			})
		})
	}
}
