package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster"
)

// deadJob is a job whose process is gone: its pid belongs to another one now.
func deadJob(n int) *muster.Job {
	job := testJob(n)
	job.Owner = Self()
	job.Owner.Start++
	return job
}

// leaveSpill writes a spill file of the results as the dead process of a job would have.
func leaveSpill(t testing.TB, cfg Config, id string, rs []muster.Result) {
	t.Helper()
	var b bytes.Buffer
	for i := range rs {
		b.Write(cfg.Encode(nil, &rs[i]))
		b.WriteByte('\n')
	}
	b.WriteString(`{"kind":"result","index":0,"outc`) // its last line
	if err := os.WriteFile(filepath.Join(filepath.Dir(cfg.Path), spillName(id)), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Spilled results are stored a segment at a time, and few at a time when they are large.
func TestReapStoresSpilledResultsInSegments(t *testing.T) {
	t.Parallel()
	large := results(0, 3)
	for i := range large {
		large[i].Body = bytes.Repeat(fmt.Append(nil, i), spillBatch*2/3)
	}
	for name, c := range map[string]struct {
		rs   []muster.Result
		want int
	}{
		"many":  {results(0, 2*segmentRows+500), 3},
		"large": {large, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			s := openTest(t, cfg)
			job := deadJob(1)
			begin(t, s, job, len(c.rs))
			leaveSpill(t, cfg, job.ID, c.rs)
			closed, err := s.Reap(t.Context())
			if err != nil || len(closed) != 1 || closed[0].Ledger.Count(muster.OK) != len(c.rs) {
				t.Fatalf("closed %+v, %v", closed, err)
			}
			if n := count(t, s, "segment"); n != c.want {
				t.Errorf("%d segments, want %d", n, c.want)
			}
			for i, r := range collect(t, s, job.ID, Query{ByIndex: true, Bodies: true}) {
				if r.Index != i || !bytes.Equal(r.Body, c.rs[i].Body) {
					t.Fatalf("result %d is of target %d, %d bytes", i, r.Index, len(r.Body))
				}
			}
		})
	}
}

// BenchmarkReapSpilled closes a job whose 100,000 results were all spilled.
func BenchmarkReapSpilled(b *testing.B) {
	const n = 100_000
	rs := distinctResults(n)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		cfg := testConfig(b)
		s := openTest(b, cfg)
		job := deadJob(1)
		begin(b, s, job, n)
		leaveSpill(b, cfg, job.ID, rs)
		b.StartTimer()
		if closed, err := s.Reap(b.Context()); err != nil || len(closed) != 1 {
			b.Fatal(len(closed), err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "results/s")
}
