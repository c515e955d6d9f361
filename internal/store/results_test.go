package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// Every query gives what a loop over all results would, in every state of the job.
func TestQueriesAgreeWithALoop(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	jobs := 0
	rapid.Check(t, func(rt *rapid.T) {
		jobs++
		n := rapid.IntRange(1, 60).Draw(rt, "targets")
		job := testJob(jobs)
		r, err := s.Begin(t.Context(), job, rangeList{first: jobs, n: n})
		if err != nil {
			rt.Fatal(err)
		}
		order := rapid.Permutation(slices.Collect(seq(n))).Draw(rt, "order")
		var all []muster.Result
		for len(order) > 0 {
			k := min(len(order), rapid.IntRange(1, 12).Draw(rt, "batch"))
			var rs []muster.Result
			for _, i := range order[:k] {
				res := genResult(rt, i)
				tg, _ := rangeList{first: jobs, n: n}.At(i)
				res.Target = tg.ID
				rs = append(rs, res)
			}
			if err := r.Write(t.Context(), rs); err != nil {
				rt.Fatal(err)
			}
			all, order = append(all, rs...), order[k:]
		}
		if rapid.Bool().Draw(rt, "finished") {
			job.State = muster.StateDone
			if err := r.Finish(t.Context(), job); err != nil {
				rt.Fatal(err)
			}
		}
		if ok, _, err := r.Health(); !ok {
			rt.Fatal(err)
		}
		for range 3 {
			q := genQuery(rt, n)
			want := answer(all, q)
			var got []muster.Result
			for res, err := range s.Results(t.Context(), job.ID, q) {
				if err != nil {
					rt.Fatal(err)
				}
				got = append(got, res)
			}
			if diff := cmp.Diff(want, got, sameResult...); diff != "" {
				rt.Fatalf("%+v (-want +got):\n%s", q, diff)
			}
		}
	})
}

func genQuery(t *rapid.T, n int) Query {
	q := Query{
		Outcomes: rapid.SliceOfN(rapid.SampledFrom(muster.Outcomes()), 0, 3).Draw(t, "outcomes"),
		ByIndex:  rapid.Bool().Draw(t, "by index"), Bodies: rapid.Bool().Draw(t, "bodies"),
		From: rapid.IntRange(0, n).Draw(t, "from"), Limit: rapid.IntRange(0, n).Draw(t, "limit"),
	}
	if rapid.Bool().Draw(t, "failures only") {
		q.Failures = muster.Failures()[:6]
	}
	if rapid.Bool().Draw(t, "chosen") {
		q.Indexes = rapid.SliceOfN(rapid.IntRange(-1, n), 0, 20).Draw(t, "indexes")
	}
	return q
}

// answer is the obvious form of Results.
func answer(all []muster.Result, q Query) []muster.Result {
	var rs []muster.Result
	for _, r := range all {
		if r.Index < q.From || len(q.Outcomes) > 0 && !slices.Contains(q.Outcomes, r.Outcome) ||
			len(q.Failures) > 0 && !slices.Contains(q.Failures, r.Failure) || q.Indexes != nil && !slices.Contains(q.Indexes, r.Index) {
			continue
		}
		if !q.Bodies {
			r.Body = nil
		}
		rs = append(rs, r)
	}
	if q.ByIndex || q.Indexes != nil {
		slices.SortFunc(rs, func(a, b muster.Result) int { return a.Index - b.Index })
	}
	if q.Limit > 0 && len(rs) > q.Limit {
		rs = rs[:q.Limit]
	}
	return rs
}

// A job with a locator pages by target although its results came in any order.
func TestPages(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	const n = 20_000
	job := testJob(1)
	r := begin(t, s, job, n)
	order := rand.New(rand.NewPCG(3, 4)).Perm(n)
	for part := range slices.Chunk(order, 700) {
		var rs []muster.Result
		for _, i := range part {
			rs = append(rs, okResult(i))
		}
		write(t, r, rs)
	}
	finish(t, r, job)
	if count(t, s, "locator") == 0 {
		t.Error("no locator")
	}
	next := 0
	for next < n {
		page := collect(t, s, "last", Query{ByIndex: true, From: next, Limit: 997, Bodies: true})
		if len(page) != min(997, n-next) {
			t.Fatalf("page at %d has %d", next, len(page))
		}
		for _, res := range page {
			if res.Index != next || string(res.Body) != fmt.Sprint("body of target ", next) {
				t.Fatalf("target %d: %d, %q", next, res.Index, res.Body)
			}
			next++
		}
	}
	one, err := s.Result(t.Context(), job.ID, 17)
	if err != nil || one.Index != 17 || one.Target != "10.0.0.17" {
		t.Errorf("one result: %+v, %v", one, err)
	}
	if _, err := s.Result(t.Context(), job.ID, n); muster.KindOf(err) != muster.KindNotFound {
		t.Errorf("no such target: %v", err)
	}
}

func TestFirstResultStands(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	job := testJob(1)
	r := begin(t, s, job, 3)
	write(t, r, results(0, 2))
	again := results(0, 3)
	again[0].Outcome, again[2].Status = muster.Lost, "202 late"
	again = append(again, again[2])
	write(t, r, again)
	finish(t, r, job)
	rs := collect(t, s, "last", Query{ByIndex: true})
	if len(rs) != 3 || rs[0].Outcome != muster.OK || rs[2].Status != "202 late" || job.Ledger.Count(muster.OK) != 3 {
		t.Errorf("results %+v, ledger %s", rs, job.Ledger.String())
	}
}

func TestWriteRefusesWhatIsNotOfTheJob(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	job := testJob(1)
	r := begin(t, s, job, 3)
	for _, bad := range []muster.Result{{Index: 3, Outcome: muster.OK}, {Index: -1, Outcome: muster.OK}, {Index: 1}} {
		if err := r.Write(t.Context(), []muster.Result{okResult(0), bad}); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	l := r.Ledger()
	if l.Ended() != 0 {
		t.Errorf("ledger %s", l.String())
	}
	job.State = muster.StateDone
	if err := r.Finish(t.Context(), job); muster.KindOf(err) != muster.KindConflict || r.Close() != nil {
		t.Errorf("finish: %v", err)
	}
}

func TestSaveBodies(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	for i, c := range []struct {
		save   muster.SaveBodies
		bodies int
	}{{muster.SaveAll, 2}, {"", 2}, {muster.SaveFailed, 1}, {muster.SaveNone, 0}} {
		job := testJob(i)
		job.Spec.SaveBodies = c.save
		r := begin(t, s, job, 2)
		rs := results(0, 2)
		rs[1].Outcome = muster.Unexpected
		write(t, r, rs)
		finish(t, r, job)
		n := 0
		for _, res := range collect(t, s, job.ID, Query{Bodies: true}) {
			if res.Body != nil {
				n++
			}
		}
		if n != c.bodies {
			t.Errorf("%q: %d bodies", c.save, n)
		}
	}
}

// Large bodies are stored once, whoever sent them, and go with the last job that names them.
func TestLargeBodiesAreShared(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	page := bytes.Repeat([]byte("<p>the same page</p>"), 500)
	for i := range 3 {
		job := testJob(i)
		r := begin(t, s, job, 2500)
		for from := 0; from < 2500; from += 500 {
			rs := results(from, from+500)
			for k := range rs {
				rs[k].Body = page
			}
			rs[7].Body = append(slices.Clone(page), fmt.Sprint(i, from)...)
			write(t, r, rs)
		}
		finish(t, r, job)
	}
	if n := count(t, s, "body_data"); n != 16 {
		t.Errorf("%d large bodies", n)
	}
	for _, r := range collect(t, s, "last", Query{Bodies: true, Indexes: []int{5, 507}}) {
		if !bytes.HasPrefix(r.Body, page) || (r.Index == 507) != bytes.HasSuffix(r.Body, []byte("2 500")) {
			t.Errorf("target %d: body ends in %q", r.Index, r.Body[len(r.Body)-8:])
		}
	}
	for _, left := range []int{11, 6, 0} {
		if err := s.Delete(t.Context(), "last"); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, "body"); n != left || n != count(t, s, "body_data") {
			t.Errorf("%d large bodies, want %d", n, left)
		}
	}
}
