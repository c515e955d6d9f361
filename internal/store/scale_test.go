package store

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// scale is how many millions of results TestScale stores; go test -run TestScale -scale 10 -v.
var scale = flag.Int("scale", 0, "millions of results to store and read back; 0 skips the test")

// TestScale measures the store at a size that no other test has, in jobs of a million.
func TestScale(t *testing.T) {
	if *scale == 0 {
		t.Skip("no -scale")
	}
	const n = 1_000_000
	cfg := testConfig(t)
	s := openTest(t, cfg)
	pool := distinctResults(100_000)
	start, last := time.Now(), ""
	for i := range *scale {
		job := testJob(i)
		r := begin(t, s, job, n)
		for from := 0; from < n; from += segmentRows {
			rs := slices.Clone(pool[from%len(pool):][:segmentRows])
			for k := range rs {
				rs[k].Index = from + k
				if k%50 == 7 {
					rs[k] = muster.Result{Index: from + k, Attempts: 1, Started: rs[k].Started}.Fail(muster.FailRefused, "connection refused")
				}
			}
			write(t, r, rs)
		}
		finish(t, r, job)
		last = job.ID
	}
	took := time.Since(start)
	st, err := os.Stat(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	total := *scale * n
	t.Logf("ingest of %d: %v, %.0f results/s; file of %.0f MB, %.1f B/result", total, took.Round(time.Second),
		float64(total)/took.Seconds(), float64(st.Size())/1e6, float64(st.Size())/float64(total))

	measure := func(name string, runs int, f func(i int) error) {
		var ds []time.Duration
		for i := range runs {
			at := time.Now()
			if err := f(i); err != nil {
				t.Fatal(err)
			}
			ds = append(ds, time.Since(at))
		}
		slices.Sort(ds)
		t.Logf("%-28s median %v, worst of %d %v", name, ds[len(ds)/2], runs, ds[len(ds)-1])
	}
	query := func(q Query) func(int) error {
		return func(i int) error {
			q := q
			if q.Limit > 0 {
				q.From = i * 7919 % (n - 100)
			}
			for _, err := range s.Results(t.Context(), last, q) {
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	measure("list of jobs", 50, func(int) error { _, err := s.Jobs(t.Context(), Filter{}); return err })
	measure("page of 100", 200, query(Query{ByIndex: true, Limit: 100}))
	measure("page of 100 with bodies", 200, query(Query{ByIndex: true, Limit: 100, Bodies: true}))
	measure("page of 100 failed", 200, query(Query{ByIndex: true, Limit: 100, Outcomes: []muster.Outcome{muster.Failed}}))
	measure("history of a target", 50, func(i int) error {
		for _, err := range s.History(t.Context(), fmt.Sprintf("10.0.%d.%d", i, i)) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	measure("scan of 1,000,000", 2, query(Query{}))
	measure("scan of 1,000,000, bodies", 2, query(Query{Bodies: true}))
	measure("failed among 1,000,000", 2, query(Query{Outcomes: []muster.Outcome{muster.Failed}}))
	measure("delete of 1,000,000", 1, func(int) error { return s.Delete(t.Context(), last) })
}
