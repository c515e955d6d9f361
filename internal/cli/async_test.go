package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// jobs starts an API that runs jobs: jobs. POST /jobs starts one, whose progress grows by 50 with each poll of the Location
// in the answer; a job of the kind "bad" fails, and one of the kind "stuck" stays at 40. It sets $JOBS.
func jobs(ts *testscript.TestScript, _ bool, _ []string) {
	var polls atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs/{kind}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/jobs/"+r.PathValue("kind")+"/17")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintln(w, `{"id": "17"}`)
	})
	mux.HandleFunc("GET /jobs/{kind}/17", func(w http.ResponseWriter, r *http.Request) {
		n := min(50*polls.Add(1), 100)
		switch r.PathValue("kind") {
		case "bad":
			fmt.Fprintln(w, `{"state": "error", "progress": 50}`)
		case "stuck":
			fmt.Fprintln(w, `{"state": "running", "progress": 40}`)
		default:
			fmt.Fprintf(w, "{\"state\": \"running\", \"progress\": %d}\n", n)
		}
	})
	s := httptest.NewServer(mux)
	ts.Defer(s.Close)
	u, err := url.Parse(s.URL)
	ts.Check(err)
	ts.Setenv("JOBS", u.Host)
}
