package execute

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// jobFleet is a server on all of 127.0.0.0/8 whose jobs end once so many of them have been under way at once.
type jobFleet struct {
	want             int64
	submitted, polls atomic.Int64
}

func (f *jobFleet) serve(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":%d}`, f.submitted.Add(1))
	})
	mux.HandleFunc("GET /jobs/{id}", func(w http.ResponseWriter, _ *http.Request) {
		f.polls.Add(1)
		fmt.Fprintf(w, `{"done":%t}`, f.submitted.Load() == f.want)
	})
	s := &http.Server{Handler: mux}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(l) })
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// runJobs has n jobs under way at once: none of them ends before all have been submitted.
func runJobs(t *testing.T, n int, hosts string, interval time.Duration) *jobFleet {
	t.Helper()
	f := &jobFleet{want: int64(n)}
	port := f.serve(t)
	with, err := json.Marshal(probe.Async{
		Submit: probe.HTTP{URL: "/jobs"}, JobID: "json:$.id", Poll: "/jobs/{{.job}}", Until: "json.done", PollInterval: muster.Duration(interval),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := spec(string(with), muster.Plan{Fanout: n, FanoutFixed: true})
	s.Action.Probe = "async"
	w, err := Compile(s, Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l := frozen(t, fmt.Sprintf("%s:%d", hosts, port))
	if led := drive(t, w, l, nil); led.Count(muster.OK) != n {
		t.Errorf("ledger = %s", &led)
	}
	if got := f.submitted.Load(); got != int64(n) {
		t.Errorf("%d submissions of %d jobs", got, n)
	}
	return f
}

func TestJobsHoldOneSlotEach(t *testing.T) {
	t.Parallel()
	runJobs(t, 200, "127.4.0.[1-200]", 20*time.Millisecond)
}

// TestFullTenThousandJobs has 10,000 jobs wait for their end at once, without a thread each.
func TestFullTenThousandJobs(t *testing.T) {
	full(t)
	threads := pprof.Lookup("threadcreate").Count()
	began := time.Now()
	f := runJobs(t, 10_000, "127.4.[0-49].[1-200]", time.Second)
	more := pprof.Lookup("threadcreate").Count() - threads
	if more > 100 {
		t.Errorf("%d more threads", more)
	}
	t.Logf("10,000 jobs, %d polls, %d more threads, %v", f.polls.Load(), more, time.Since(began))
}
