package probe

import (
	"context"
	"testing"

	"github.com/musterhq/muster"
)

// feed hands out targets to one event loop, at most window at a time.
type feed struct {
	targets []muster.Target
	window  int
	open    int
	results []muster.Result
	byIndex map[int]int
	wake    func()
	peak    int
	onDone  func(r *muster.Result)
}

func (f *feed) Next() (t muster.Target, ok, more bool) {
	if len(f.targets) == 0 {
		return t, false, false
	}
	if f.window > 0 && f.open >= f.window {
		return t, false, true
	}
	t = f.targets[0]
	f.targets = f.targets[1:]
	f.open++
	f.peak = max(f.peak, f.open)
	return t, true, true
}

func (f *feed) Done(t muster.Target, r muster.Result) {
	f.open--
	if f.onDone != nil {
		f.onDone(&r)
		return
	}
	if f.byIndex == nil {
		f.byIndex = map[int]int{}
	}
	f.byIndex[t.Index]++
	r.Index = t.Index
	f.results = append(f.results, r)
}

func (f *feed) Flush() {}

func (f *feed) Notify(wake func()) { f.wake = wake }

// probeLoop drives one target through an event loop.
func probeLoop(ctx context.Context, p *httpProber, t muster.Target) muster.Result {
	if !p.Batchable(t) {
		return muster.Result{Reason: "not batchable"}
	}
	f := &feed{targets: []muster.Target{t}}
	p.ProbeBatch(ctx, f)
	if len(f.results) != 1 {
		return muster.Result{Reason: "not reported once"}
	}
	return f.results[0]
}

// loopAskers drive one request after the other through one event loop, which sleeps in between.
func loopAskers() []asker {
	return []asker{{"loop", func(t testing.TB, p *httpProber) func(muster.Target) muster.Result {
		f, ended := newSlowFeed(), make(chan bool)
		go func() {
			p.ProbeBatch(t.Context(), f)
			close(ended)
		}()
		t.Cleanup(func() {
			f.offer(nil)
			<-ended
		})
		return func(target muster.Target) muster.Result {
			if !p.Batchable(target) {
				t.Error("not batchable")
			}
			f.offer(&target)
			return <-f.done
		}
	}}}
}

func loopPaths() []path { return []path{{"loop", func(*HTTP) {}, probeLoop}} }
