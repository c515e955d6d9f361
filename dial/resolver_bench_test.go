package dial_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/dial"
)

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkResolveFleet resolves 100,000 distinct names of a real server by 1,000 goroutines.
func BenchmarkResolveFleet(b *testing.B) {
	const n = 100_000
	server := unbound(b, "  num-threads: 1\n", names(n)...)
	for _, width := range []int{64, 512} {
		b.Run(fmt.Sprint("slots=", width), func(b *testing.B) {
			for b.Loop() {
				start, busy := time.Now(), cpu()
				r := &dial.Resolver{Server: server, Concurrency: width}
				failed := resolveAll(b, r, n)
				b.ReportMetric(float64(failed), "failed")
				b.ReportMetric(float64(n)/time.Since(start).Seconds(), "names/s")
				b.ReportMetric(float64((cpu()-busy).Microseconds())/n, "cpu-µs/name")
			}
		})
	}
}

func resolveAll(tb testing.TB, r *dial.Resolver, n int) (failures int64) {
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if _, err := r.Lookup(tb.Context(), "h"+strconv.Itoa(i)+".test", 0); err != nil {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return bad.Load()
}
