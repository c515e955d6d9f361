package fanout

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/musterhq/muster"
)

// govern runs the job: it starts what the window allows, lets the limiter tick,
// keeps the deadline, and ends when every target has its outcome.
func (r *Run) govern(ctx context.Context, cancel context.CancelCauseFunc) {
	g := governor{Run: r, ctx: ctx, batch: r.batchProber()}
	defer close(r.swept)
	g.begin(cancel)
	defer g.workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for look := true; !look || !g.turn(); {
		timer.Reset(g.sleep())
		look = true
		select {
		case <-timer.C:
		case <-r.kicked:
		case <-r.replan:
			look = false
		case <-ctx.Done():
			g.abort()
			ctx = context.WithoutCancel(ctx) // told once; the rest is waiting for the ends
		}
	}
}

// governor is the state of one govern call; it belongs to that goroutine.
type governor struct {
	*Run
	ctx     context.Context
	batch   muster.BatchProber
	workers sync.WaitGroup
	meter   idleMeter
}

// batchSample is how many targets are asked whether they fit the event loop.
const batchSample = 16

// batchProber returns the probe's event loop if there is one and some of a sample of the targets fit
// it. Where none does, as with TLS, a goroutine that goes on with the next target by itself costs
// half of one that the loop starts for each.
func (r *Run) batchProber() muster.BatchProber {
	b, ok := r.probe.(muster.BatchProber)
	if !ok {
		return nil
	}
	n := r.list.Len()
	for i := range min(n, batchSample) {
		t, err := r.list.At(i * n / min(n, batchSample))
		if err == nil && !t.Off && b.Batchable(t) {
			return b
		}
	}
	return nil
}

func (g *governor) begin(cancel context.CancelCauseFunc) {
	now := time.Now()
	g.meter.read(now)
	g.mu.Lock()
	g.started, g.lastTick = now, now
	g.w.limit.clamp(g.sockets(signals{}))
	g.mu.Unlock()
	if d := time.Duration(g.eng.Plan.Deadline); d > 0 {
		t := time.AfterFunc(d, func() {
			g.mu.Lock()
			g.w.cut("deadline", muster.StateStopped)
			g.mu.Unlock()
			cancel(errDeadline)
		})
		g.workers.Go(func() { <-g.over; t.Stop() })
	}
	if g.journaled() {
		g.workers.Go(func() { g.journal(g.ctx) })
	}
	if g.batch != nil {
		g.startLoops()
	}
}

func (g *governor) startLoops() {
	n := g.eng.Loops
	if n == 0 {
		n = min(runtime.GOMAXPROCS(0), 4)
	}
	for range min(n, max(1, g.list.Len())) {
		l := &loop{run: g.Run, gov: g}
		g.loops = append(g.loops, l)
	}
	for _, l := range g.loops {
		g.workers.Go(func() { g.batch.ProbeBatch(g.ctx, l) })
	}
}

// turn does what can be done now, and reports whether the job is over.
func (g *governor) turn() bool {
	now := time.Now()
	g.mu.Lock()
	g.tick(now)
	if g.w.stop != "" {
		g.releaseReserved()
	}
	over := g.w.inflight == 0 && g.w.retries.len() == 0 && len(g.reserved) == 0 &&
		(g.w.stop != "" || g.w.idle())
	if over && g.w.stop != "" {
		over = g.sweepLocked()
	}
	g.settleOver(over)
	g.mu.Unlock()
	if over {
		g.wakeLoops()
		signal(g.wanted)
		return true
	}
	g.fill(now)
	return false
}

func (g *governor) settleOver(over bool) {
	if over {
		close(g.over)
	}
	if len(g.w.pending) > 0 {
		signal(g.full)
	}
}

// sweepLocked reports a portion of the targets that never started, as far as the results
// before them have been taken; true when none is left.
func (g *governor) sweepLocked() bool {
	if len(g.w.pending) >= maxPending {
		return false
	}
	return !g.w.sweep(sweepSize)
}

// fill starts what the window allows: on the loops, which help themselves when woken, or on
// a goroutine each.
func (g *governor) fill(now time.Time) {
	if g.batch != nil {
		g.wakeLoops()
		return
	}
	for {
		t, v := g.take(now)
		if v != start {
			return
		}
		g.spawn(t)
	}
}

// sleep plans the governor's next look: at the next tick, or when a timer may unblock
// the window before that.
func (g *governor) sleep() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := tickEvery
	if at := g.w.wakeAt; !at.IsZero() {
		d = min(d, max(time.Until(at), 100*time.Microsecond))
	}
	g.planned = time.Now().Add(d)
	return d
}

// spawn works on t and on whatever the window hands out after it.
func (g *governor) spawn(t muster.Target) {
	g.workers.Go(func() {
		for v := start; v == start; {
			t, v = g.finish(g.ctx, t, g.attempt(t))
		}
	})
}

// spawnOne works on a target that does not fit the event loops; what follows it may fit.
func (g *governor) spawnOne(t muster.Target) {
	g.workers.Go(func() {
		res := g.attempt(t)
		g.complete(g.ctx, &t, &res)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.w.done(time.Now(), t, res)
		g.settle(start)
	})
}

// timeoutGrace is how much later than the plan's timeout the engine ends an attempt. A prober that keeps
// the timeout itself knows in which phase it passed, and must not be raced for the answer.
const timeoutGrace = 250 * time.Millisecond

// attempt does one exchange under the attempt's own time limit. A panic of the probe is that
// target's failure.
func (g *governor) attempt(t muster.Target) (res muster.Result) {
	timeout := g.eng.Plan.TimeoutOr()
	ctx, cancel := context.WithTimeout(g.ctx, timeout+timeoutGrace)
	defer cancel()
	begun := time.Now()
	defer func() {
		if p := recover(); p != nil {
			res = muster.Result{Started: begun}.Fail(muster.FailLocal, fmt.Sprintf("the probe panicked: %v", p))
		}
		silent := res.Outcome == 0 // it may have sent anything
		aborted := silent || res.Outcome == muster.Canceled
		if aborted && ctx.Err() != nil && g.ctx.Err() == nil {
			res = res.Fail(muster.FailTimeout, "no answer within "+timeout.String())
			res.Reason, res.Transient = "timeout", true
			res.Sent = res.Sent || silent
		}
		if res.Started.IsZero() {
			res.Started = begun
		}
		if res.Timings.Total == 0 {
			res.Timings.Total = time.Since(begun)
		}
	}()
	return g.probe.Probe(ctx, t)
}

// tick lets the limiter see what the last interval brought; the caller holds g.mu.
func (g *governor) tick(now time.Time) {
	elapsed := now.Sub(g.lastTick)
	if elapsed < tickEvery {
		return
	}
	g.lastTick = now
	g.measure(elapsed)
	s := g.sockets(signals{elapsed: elapsed, idle: g.meter.read(now)})
	g.w.adapt(s)
}

func (g *governor) sockets(s signals) signals {
	if g.eng.Sockets != nil {
		s.sockets, s.socketsWhy = g.eng.Sockets()
	}
	return s
}

func (g *governor) abort() {
	g.mu.Lock()
	g.w.cut(causeOf(g.ctx), muster.StateCanceled)
	g.mu.Unlock()
	g.wakeLoops()
}

func (g *governor) wakeLoops() {
	for _, l := range g.loops {
		l.wake()
	}
}
