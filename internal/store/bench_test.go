package store

import (
	"crypto/sha256"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// cpuTime returns what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// distinctBody returns 200 bytes like a small JSON answer, 64 of them random text.
func distinctBody(i int) []byte {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	id := base64.RawStdEncoding.EncodeToString(append(sum[:], sum[:16]...))
	body := `{"status":"up","version":"4.12.7","host":"node-` + strconv.Itoa(i) + `","uptime":` + strconv.Itoa(i*7919%1_000_000) +
		`,"load":0.` + strconv.Itoa(i%97) + `,"instance":"` + id + `","region":"eu-central-1","checks":["disk","net","cpu"]}`
	for len(body) < 200 {
		body += " "
	}
	return []byte(body[:200])
}

func distinctResults(n int) []muster.Result {
	rs := results(0, n)
	for i := range rs {
		rs[i].Body = distinctBody(i)
	}
	return rs
}

// BenchmarkIngest stores 100,000 results with distinct bodies of 200 bytes, the list included.
func BenchmarkIngest(b *testing.B) {
	const n = 100_000
	rs := distinctResults(n)
	b.ReportAllocs()
	var cpu, size time.Duration
	runs := 0
	for b.Loop() {
		b.StopTimer()
		cfg := testConfig(b)
		s := openTest(b, cfg)
		job := testJob(1)
		b.StartTimer()
		before := cpuTime(b)
		r := begin(b, s, job, n)
		for from := 0; from < n; from += 1000 {
			if err := r.Write(b.Context(), rs[from:from+1000]); err != nil {
				b.Fatal(err)
			}
		}
		finish(b, r, job)
		cpu += cpuTime(b) - before
		runs++
		if st, err := os.Stat(cfg.Path); err == nil {
			size += time.Duration(st.Size())
		}
	}
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(runs*n), "cpu-ns/result")
	b.ReportMetric(float64(runs*n)/b.Elapsed().Seconds(), "results/s")
	b.ReportMetric(float64(size)/float64(runs*n), "B/result")
}

// BenchmarkEncode packs one segment of 1,000 results without the database.
func BenchmarkEncode(b *testing.B) {
	rs := distinctResults(1000)
	e := newSegmentEncoder(newPacker())
	b.ReportAllocs()
	for b.Loop() {
		for i := range rs {
			e.add(&rs[i], true)
		}
		e.seal()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/result")
}

// BenchmarkRead reads 100,000 results back.
func BenchmarkRead(b *testing.B) {
	const n = 100_000
	s := openTest(b, testConfig(b))
	job := testJob(1)
	r := begin(b, s, job, n)
	rs := distinctResults(n)
	for from := 0; from < n; from += 1000 {
		write(b, r, rs[from:from+1000])
	}
	finish(b, r, job)
	for name, q := range map[string]Query{
		"columns": {}, "bodies": {Bodies: true}, "index": {ByIndex: true},
		"failed": {Outcomes: []muster.Outcome{muster.Failed}}, "code": {Codes: []int{500}},
		"page": {ByIndex: true, From: 50_000, Limit: 100, Bodies: true},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				collected := 0
				for _, err := range s.Results(b.Context(), job.ID, q) {
					if err != nil {
						b.Fatal(err)
					}
					collected++
				}
			}
		})
	}
}

// BenchmarkShuffledPage reads a page of 100 targets whose results are in 100 segments.
func BenchmarkShuffledPage(b *testing.B) {
	const n = 100_000
	s := openTest(b, testConfig(b))
	job := testJob(1)
	r := begin(b, s, job, n)
	all := distinctResults(n)
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, k int) { all[i], all[k] = all[k], all[i] })
	for rs := range slices.Chunk(all, segmentRows) {
		write(b, r, rs)
	}
	finish(b, r, job)
	i := 0
	for b.Loop() {
		i += 7919
		for _, err := range s.Results(b.Context(), job.ID, Query{ByIndex: true, From: i % (n - 100), Limit: 100, Bodies: true}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBegin stores a list of 100,000 targets.
func BenchmarkBegin(b *testing.B) {
	const n = 100_000
	s := openTest(b, testConfig(b))
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		job := testJob(i)
		if _, err := s.Begin(b.Context(), job, rangeList{first: i, n: n}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i*n), "ns/target")
}

// BenchmarkSingle is what a run of one target pays: open, begin, write, finish, close.
func BenchmarkSingle(b *testing.B) {
	cfg := testConfig(b)
	i := 0
	for b.Loop() {
		i++
		s, err := Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		job := testJob(i)
		r := begin(b, s, job, 1)
		write(b, r, results(0, 1))
		finish(b, r, job)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens and closes a store that exists.
func BenchmarkOpen(b *testing.B) {
	cfg := testConfig(b)
	record(b, openTest(b, cfg), testJob(1), 1)
	for b.Loop() {
		s, err := Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
