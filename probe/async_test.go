package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// jobAPI is a server on which POST /jobs starts a job.
type jobAPI struct {
	submitted, polled atomic.Int64
	// submit answers the submission; nil hands out the id 17.
	submit http.HandlerFunc
	// poll answers the n-th poll of /status/17, n from 1.
	poll func(n int, w http.ResponseWriter, r *http.Request)
}

func (a *jobAPI) serve(t testing.TB) muster.Target {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, r *http.Request) {
		a.submitted.Add(1)
		switch body, _ := io.ReadAll(r.Body); {
		case r.Header.Get("Authorization") != "Bearer tok":
			w.WriteHeader(http.StatusUnauthorized)
		case a.submit != nil:
			a.submit(w, r)
		default:
			fmt.Fprintf(w, "{\n  \"id\": 17,\n  \"got\": %q\n}\n", body)
		}
	})
	mux.HandleFunc("/status/17", func(w http.ResponseWriter, r *http.Request) {
		n := int(a.polled.Add(1))
		if r.Header.Get("Authorization") != "Bearer tok" || r.Method != "GET" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.poll(n, w, r)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return targetAt(s.Listener.Addr())
}

// percent answers with a progress.
func percent(w http.ResponseWriter, p int) { fmt.Fprintf(w, "{\n  \"progress\": %d\n}\n", p) }

func job() Async {
	return Async{
		Submit: HTTP{URL: "/jobs", Body: "{{.host}}", Bearer: "env:T"}, JobID: "json:$.id", Poll: "/status/{{.job}}",
		Until: "progress == 100", FailWhen: "json.error != nil", Progress: "json:$.progress",
		PollInterval: muster.Duration(5 * time.Millisecond),
	}
}

func asyncProbe(t testing.TB, a Async, timeout time.Duration) muster.Prober {
	t.Helper()
	p, err := a.Prober(Env{Timeout: timeout, Secret: func(string) (muster.Secret, error) { return muster.NewSecret("tok"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.(io.Closer).Close() })
	return p
}

// TestAsync is the ancestors' own scenario: a job that is done after its tenth poll.
func TestAsync(t *testing.T) {
	t.Parallel()
	api := &jobAPI{poll: func(n int, w http.ResponseWriter, _ *http.Request) { percent(w, 10*n) }}
	r := asyncProbe(t, job(), 0).Probe(t.Context(), api.serve(t))
	if r.Outcome != muster.OK || r.Status != "200 OK" || !strings.Contains(string(r.Body), `"progress": 100`) || !r.Sent || !r.Address.IsValid() {
		t.Fatalf("%v %v (%s: %s) %s", r.Outcome, r.Failure, r.Reason, r.Detail, r.Body)
	}
	for name, want := range map[string]any{"job": "17", "polls": 10.0, "progress": 100.0} {
		if got, _ := r.Field(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if took := r.Timings.Total; took < 45*time.Millisecond {
		t.Errorf("ten polls every 5 ms took %v", took)
	}
	checkHistory(t, &r, 10)
	if s, p := api.submitted.Load(), api.polled.Load(); s != 1 || p != 10 {
		t.Errorf("%d submissions, %d polls", s, p)
	}
}

// checkHistory checks that a history has n polls, in their order.
func checkHistory(t *testing.T, r *muster.Result, n int) {
	t.Helper()
	text, _ := r.Field("history")
	var history [][2]float64
	if err := json.Unmarshal([]byte(text.(string)), &history); err != nil || len(history) != n {
		t.Fatalf("%d of %d polls, %v: %s", len(history), n, err, text)
	}
	for i := 1; i < n; i++ {
		if history[i][0] < history[i-1][0] || history[i][1] < history[i-1][1] {
			t.Errorf("poll %d goes back: %s", i+1, text)
		}
	}
}

func TestAsyncEnds(t *testing.T) {
	t.Parallel()
	busy := func(first, last int) func(int, http.ResponseWriter, *http.Request) {
		return func(n int, w http.ResponseWriter, _ *http.Request) {
			if n >= first && n <= last {
				w.WriteHeader(http.StatusInternalServerError)
			}
			percent(w, min(10*n, 100))
		}
	}
	at40 := func(_ int, w http.ResponseWriter, _ *http.Request) { percent(w, 40) }
	never := muster.Duration(time.Hour)
	for name, c := range map[string]struct {
		change  func(a *Async)
		submit  http.HandlerFunc
		poll    func(n int, w http.ResponseWriter, r *http.Request)
		timeout time.Duration

		outcome        muster.Outcome
		failure        muster.Failure
		reason, detail string
		polls          int64 // -1: any
	}{
		"no job id":        {func(a *Async) { a.JobID, a.PollInterval = "json:$.none", never }, nil, at40, 0, muster.Failed, muster.FailProtocol, "no job id", "json:$.none finds no job id", 0},
		"wrong login":      {func(a *Async) { a.Submit.Bearer, a.PollInterval = "", never }, nil, at40, 0, muster.Unexpected, 0, "status 401", "", 0},
		"refused work":     {func(a *Async) { a.PollInterval = never }, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, at40, 0, muster.Unexpected, 0, "status 503", "", 0},
		"stuck":            {func(a *Async) { a.StuckAfter = muster.Duration(60 * time.Millisecond) }, nil, at40, 0, muster.Failed, muster.FailTimeout, "stuck", "no progress for 60ms: job 17, progress 40", -1},
		"stuck, body":      {func(a *Async) { a.StuckAfter, a.Progress, a.Until = muster.Duration(60*time.Millisecond), "", "false" }, nil, at40, 0, muster.Failed, muster.FailTimeout, "stuck", "no progress for 60ms: job 17", -1},
		"stuck in failing": {func(a *Async) { a.StuckAfter, a.MaxPollErrors = muster.Duration(60*time.Millisecond), new(1000) }, nil, busy(1, 1e9), 0, muster.Failed, muster.FailTimeout, "stuck", "", -1},
		"job failed": {func(*Async) {}, nil, func(n int, w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"progress":%d, "error":"disk full"}`, 50*n)
		}, 0, muster.Unexpected, 0, "job failed", "", 1},
		"failure before success": {func(a *Async) { a.Until = "true" }, nil, func(_ int, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"error":1}`) }, 0, muster.Unexpected, 0, "job failed", "", 1},
		"five errors in a row":   {func(*Async) {}, nil, busy(2, 6), 0, muster.OK, 0, "", "", 10},
		"six errors in a row":    {func(*Async) {}, nil, busy(2, 7), 0, muster.Failed, muster.FailProtocol, "poll: status 500", "6 polls in a row failed: job 17, progress 10", 7},
		"errors far apart":       {func(a *Async) { a.MaxPollErrors = new(1) }, nil, func(n int, w http.ResponseWriter, r *http.Request) { busy(n/2*2, n/2*2)(n, w, r) }, 0, muster.OK, 0, "", "", 11},
		"no error borne":         {func(a *Async) { a.MaxPollErrors = new(0) }, nil, busy(3, 3), 0, muster.Failed, muster.FailProtocol, "poll: status 500", "", 3},
		"connection reset": {
			func(*Async) {}, nil, func(_ int, w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 0, muster.Failed, muster.FailReset,
			"poll: closed without an answer", "6 polls in a row failed", 6,
		},
		"login lost": {func(a *Async) { a.FailWhen = "" }, nil, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 3 {
				w.WriteHeader(http.StatusForbidden)
			}
		}, 0, muster.Unexpected, 0, "status 403", "", 3},
		"not there yet": {func(a *Async) { a.Until, a.FailWhen = "status == 200", "" }, nil, func(n int, w http.ResponseWriter, r *http.Request) {
			if n < 9 {
				http.NotFound(w, r)
			}
		}, 0, muster.OK, 0, "", "", 9},
		"time over in a pause": {func(a *Async) { a.PollInterval = never }, nil, at40, time.Second, muster.Failed, muster.FailTimeout, "timeout", "the job is not done after 1s: job 17", 0},
		"time over in a poll": {
			func(*Async) {}, nil, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, time.Second,
			muster.Failed, muster.FailTimeout, "timeout", "the job is not done after 1s: job 17", 1,
		},
		"time over in the submission": {
			func(*Async) {}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, at40, time.Second,
			muster.Failed, muster.FailTimeout, "timeout", "the job was not submitted within 1s", 0,
		},
		"a condition that cannot be": {func(a *Async) { a.Until, a.PollInterval = "json.a.b > 1", muster.Duration(time.Millisecond) }, nil, at40, time.Second, muster.Failed, muster.FailTimeout, "timeout", "cannot fetch b from", -1},
		"a slow poll is one error": {func(a *Async) { a.RequestTimeout = muster.Duration(time.Second) }, nil, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				<-r.Context().Done()
			}
			percent(w, 100)
		}, 0, muster.OK, 0, "", "", 2},
		"pauses longer than a request": {
			func(a *Async) {
				a.RequestTimeout, a.PollInterval = muster.Duration(700*time.Millisecond), muster.Duration(900*time.Millisecond)
			}, nil,
			func(n int, w http.ResponseWriter, _ *http.Request) { percent(w, 50*n) }, 0, muster.OK, 0, "", "", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &jobAPI{submit: c.submit, poll: c.poll}
			a := job()
			c.change(&a)
			target := api.serve(t)
			r := asyncProbe(t, a, c.timeout).Probe(t.Context(), target)
			if r.Outcome != c.outcome || r.Failure != c.failure || r.Reason != c.reason || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("%v %v (%s: %s)", r.Outcome, r.Failure, r.Reason, r.Detail)
			}
			if p := api.polled.Load(); c.polls >= 0 && p != c.polls {
				t.Errorf("%d polls, want %d", p, c.polls)
			}
			if n := api.submitted.Load(); n != 1 {
				t.Errorf("%d submissions", n)
			}
			if r.Timings.Total > 20*time.Second {
				t.Errorf("took %v", r.Timings.Total)
			}
		})
	}
}

// TestAsyncJobID takes the id from wherever an API puts it, and follows it nowhere else.
func TestAsyncJobID(t *testing.T) {
	t.Parallel()
	location := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", strings.ReplaceAll(value, "HOST", r.Host))
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, value)
		}
	}
	for name, c := range map[string]struct {
		rule, poll string
		submit     http.HandlerFunc
		want       string // the reason; "" is ok
	}{
		"a number":         {"json:$.id", "/status/{{.job}}", nil, ""},
		"a pattern":        {`re:"id":\s*(\d+)`, "/status/{{.job}}", nil, ""},
		"a path":           {"header:Location", "{{.job}}", location("/status/17"), ""},
		"a URL":            {"header:Location", "{{.job}}", location("http://HOST/status/17"), ""},
		"a URL, elsewhere": {"header:Location", "{{.job}}", location("https://192.0.2.1/status/17"), ""},
		"lured away":       {"body", "{{.job | trim}}", location(" http://192.0.2.1/status/17"), "unusable job id"},
		"two lines":        {"body", "/status/{{.job}}", location("17 HTTP/1.1\r\nX: y"), "unusable job id"},
		"an odd URL":       {"body", "{{.job}}", location("http://[x"), "unusable job id"},
		"empty":            {"body", "/status/{{.job}}", location(""), "no job id"},
		"none":             {"header:X-None", "/status/{{.job}}", nil, "no job id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &jobAPI{submit: c.submit, poll: func(_ int, w http.ResponseWriter, _ *http.Request) { percent(w, 100) }}
			a := job()
			a.JobID, a.Poll = c.rule, c.poll
			r := asyncProbe(t, a, 10*time.Second).Probe(t.Context(), api.serve(t))
			if ok := r.Outcome == muster.OK; ok != (c.want == "") || r.Reason != c.want || !r.Sent {
				t.Errorf("%v %v (%s: %s)", r.Outcome, r.Failure, r.Reason, r.Detail)
			}
			if c.want != "" && (r.Failure != muster.FailProtocol || api.polled.Load() > 0) {
				t.Errorf("%v after %d polls", r.Failure, api.polled.Load())
			}
		})
	}
}

func TestAsyncCancel(t *testing.T) {
	t.Parallel()
	asked := make(chan bool)
	for name, c := range map[string]struct {
		interval time.Duration
		poll     func(int, http.ResponseWriter, *http.Request)
		submit   http.HandlerFunc
	}{
		"in the submission": {0, nil, func(_ http.ResponseWriter, r *http.Request) { asked <- true; <-r.Context().Done() }},
		"in a pause":        {time.Hour, nil, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"id":17}`); asked <- true }},
		"in a poll":         {time.Millisecond, func(_ int, _ http.ResponseWriter, r *http.Request) { asked <- true; <-r.Context().Done() }, nil},
	} {
		a := job()
		a.PollInterval = muster.Duration(c.interval)
		p := asyncProbe(t, a, time.Hour)
		target := (&jobAPI{submit: c.submit, poll: c.poll}).serve(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan muster.Result)
		go func() { done <- p.Probe(ctx, target) }()
		<-asked
		began := time.Now()
		cancel()
		if r := <-done; r.Outcome != muster.Canceled || time.Since(began) > 5*time.Second || !r.Sent {
			t.Errorf("%s: %v %v (%s) after %v", name, r.Outcome, r.Failure, r.Detail, time.Since(began))
		}
	}
}

func TestAsyncMistakes(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Async){
		"job_id: want the rule":              func(a *Async) { a.JobID = "" },
		"poll: want the path":                func(a *Async) { a.Poll = "" },
		"until: want the condition":          func(a *Async) { a.Until = "" },
		`until: filter "json.(", column 6`:   func(a *Async) { a.Until = "json.(" },
		"fail_when: ":                        func(a *Async) { a.FailWhen = "nonsense == 1" },
		`extract job: "jsn:$.id" is no rule`: func(a *Async) { a.JobID = "jsn:$.id" },
		`submit: url "x y"`:                  func(a *Async) { a.Submit.URL = "x y" },
		`poll: url "x y"`:                    func(a *Async) { a.Poll = "x y" },
		"poll: url: line 1":                  func(a *Async) { a.Poll = "/{{.job" },
		"max_poll_errors: want":              func(a *Async) { a.MaxPollErrors = new(-1) },
		"poll_interval -1s: want":            func(a *Async) { a.PollInterval = muster.Duration(-time.Second) },
	} {
		a := job()
		a.Submit.Bearer = ""
		change(&a)
		if _, err := a.Prober(Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAsyncCheckAndPreview(t *testing.T) {
	t.Parallel()
	a := job()
	a.Submit.Header = []Header{{Name: "X-Rack", Value: "{{.labels.rack}}"}}
	p := asyncProbe(t, a, 0).(*asyncProber)
	if err := p.Check(&muster.Target{ID: "h", Host: "h"}); err == nil || !strings.Contains(err.Error(), "rack") {
		t.Errorf("a target without the label: %v", err)
	}
	target := muster.Target{ID: "h", Host: "h", Labels: map[string]string{"rack": "r1"}}
	text, err := p.Preview(&target)
	for _, want := range []string{"# http://h/jobs\nPOST /jobs", "then every 5ms, JOB being what json:$.id finds, until progress == 100\n# http://h/status/JOB\nGET /status/JOB", "X-Rack: r1", "Bearer [redacted]"} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: no %q in\n%s", err, want, text)
		}
	}
}

// TestAsyncHistoryStaysEven keeps bounded what a long job leaves, from its beginning to its end.
func TestAsyncHistoryStaysEven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "polls")
		var h jobHistory
		for i := range n {
			h.add(time.Duration(i)*time.Millisecond, float64(i), "")
		}
		var got [][2]float64
		if err := json.Unmarshal([]byte(h.text()), &got); err != nil || len(got) > maxHistory || len(got) < min(n, maxHistory/2) {
			t.Fatalf("%d of %d polls, %v", len(got), n, err)
		}
		widest := 0.0
		for i := 1; i < len(got); i++ {
			widest = max(widest, got[i][0]-got[i-1][0])
		}
		if got[0][0] != 0 || widest > float64(4*n)/maxHistory+2 {
			t.Fatalf("%d polls of %d, the first at %v, the widest gap %v", len(got), n, got[0][0], widest)
		}
	})
}
