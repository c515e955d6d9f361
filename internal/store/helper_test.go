package store

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// sliceList is a list in memory.
type sliceList struct {
	targets []muster.Target
	defects map[int]error
}

func (l *sliceList) Len() int { return len(l.targets) }

func (l *sliceList) At(i int) (muster.Target, error) { return l.targets[i], l.defects[i] }

func (l *sliceList) Hash() [32]byte { return sha256.Sum256(fmt.Append(nil, l.targets, l.defects)) }

// rangeList is a list that is a computation.
type rangeList struct {
	first, n int
	recipe   bool
}

func (l rangeList) Len() int { return l.n }

func (l rangeList) At(i int) (muster.Target, error) {
	v := uint32(10<<24 + l.first + i)
	a := netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	host := a.String()
	return muster.Target{Index: i, ID: host, Host: host, Addr: a}, nil
}

func (l rangeList) Hash() [32]byte { return sha256.Sum256(fmt.Append(nil, l.first, l.n)) }

func (l rangeList) Recipe() ([]byte, bool) { return fmt.Append(nil, l.first, " ", l.n), l.recipe }

func rebuildRange(b []byte) (muster.List, error) {
	l := rangeList{recipe: true}
	_, err := fmt.Sscan(string(b), &l.first, &l.n)
	return l, err
}

// encodeLine is a stand-in for sink.AppendResult.
func encodeLine(dst []byte, r *muster.Result) []byte {
	m := map[string]any{
		"kind": "result", "target": r.Target, "index": r.Index, "outcome": r.Outcome.String(), "attempts": r.Attempts,
		"status": r.Status, "code": r.Code,
	}
	if r.Failure != 0 {
		m["failure"] = r.Failure.String()
	}
	if r.Reason != "" {
		m["reason"] = r.Reason
	}
	if len(r.Body) > 0 {
		m["body"] = string(r.Body)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

func testConfig(t testing.TB) Config {
	return Config{Path: filepath.Join(t.TempDir(), "state", "muster.db"), Encode: encodeLine}
}

func openTest(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func testJob(n int) *muster.Job {
	return &muster.Job{
		ID: fmt.Sprintf("261120-%06d-abcd", n), User: "ann", Command: "muster run http", Created: time.Unix(1_800_000_000+int64(n), 5).UTC(),
		Spec: muster.JobSpec{Schema: muster.SpecVersion, Action: muster.Action{Probe: "http"}, Selection: "@web"},
	}
}

// okResult is a plain answer of target i with a body of its own.
func okResult(i int) muster.Result {
	return muster.Result{
		Index: i, Outcome: muster.OK, Status: "200 OK", Code: 200, Attempts: 1,
		Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 80),
		Started: time.Unix(1_800_000_000, int64(i)*1000).UTC(),
		Timings: muster.Timings{Connect: time.Duration(100+i%50) * time.Microsecond, Total: time.Duration(900+i%90) * time.Microsecond},
		Body:    []byte("body of target " + strconv.Itoa(i)),
	}
}

func results(from, to int) []muster.Result {
	rs := make([]muster.Result, 0, to-from)
	for i := from; i < to; i++ {
		rs = append(rs, okResult(i))
	}
	return rs
}

// begin starts a job over a range of n targets.
func begin(t testing.TB, s *Store, job *muster.Job, n int) *Recorder {
	t.Helper()
	r, err := s.Begin(t.Context(), job, rangeList{n: n})
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := r.Health(); !ok {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, r *Recorder, rs []muster.Result) {
	t.Helper()
	if err := r.Write(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := r.Health(); !ok {
		t.Fatal(err)
	}
}

func finish(t testing.TB, r *Recorder, job *muster.Job) {
	t.Helper()
	job.State = muster.StateDone
	if err := r.Finish(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// record stores a whole job of n plain answers.
func record(t testing.TB, s *Store, job *muster.Job, n int) {
	t.Helper()
	r := begin(t, s, job, n)
	for from := 0; from < n; from += segmentRows {
		write(t, r, results(from, min(from+segmentRows, n)))
	}
	finish(t, r, job)
}

// collect returns what a query gives.
func collect(t testing.TB, s *Store, ref string, q Query) []muster.Result {
	t.Helper()
	var rs []muster.Result
	for r, err := range s.Results(t.Context(), ref, q) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}
