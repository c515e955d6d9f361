// Command netpool is the obvious client: a pool of workers around net/http with
// a fresh connection per request. It is the peer that CPU ratios are taken
// against.
//
//	netpool -p PORT [-n 100000] [-w 500] [-u /status]
//
// Target i is the one that floor.c asks, and the output has floor's form.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	port := flag.Int("p", 8080, "port of the fleet")
	total := flag.Int("n", 100_000, "targets")
	workers := flag.Int("w", 500, "workers")
	path := flag.String("u", "/status", "path to ask for")
	flag.Parse()

	start := time.Now()
	ok := run(*total, *workers, *port, *path)
	wall := time.Since(start)
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru) // cannot fail for the process itself
	user, sys := time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
	fmt.Printf("{\"ok\":%d,\"failed\":%d,\"wall\":%.3f,\"user\":%.3f,\"sys\":%.3f,\"cpu_us_each\":%.2f,\"rss_kb\":%d}\n",
		ok, *total-ok, wall.Seconds(), user.Seconds(), sys.Seconds(),
		float64((user+sys).Nanoseconds())/1e3/float64(*total), ru.Maxrss)
	if ok != *total {
		os.Exit(1)
	}
}

func run(total, workers, port int, path string) int {
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		Timeout:   10 * time.Second,
	}
	var next, ok atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < total; i = int(next.Add(1)) - 1 {
				if ask(client, i, port, path) {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(ok.Load())
}

// ask reports whether the target answers 200 with its own address in the body.
func ask(client *http.Client, i, port int, path string) bool {
	addr := fmt.Sprintf("127.%d.%d.%d", 1+i/50_000, i/250%200, 1+i%250)
	resp, err := client.Get(fmt.Sprintf("http://%s:%d%s", addr, port, path))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte(`"`+addr+`"`))
}
