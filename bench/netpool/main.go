// Command netpool is the obvious client: a pool of workers around net/http with
// a fresh connection per request. It is the peer that CPU ratios are taken
// against.
//
//	netpool -p PORT [-n 100000] [-w 500] [-u /status] [-ca FILE] [-i KEY -known-hosts FILE]
//
// With -ca it does a TLS handshake with each target instead, and closes; with -i it
// logs in over SSH and runs true.
//
// Target i is the one that floor.c asks, and the output has floor's form.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
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
	ca := flag.String("ca", "", "shake hands over TLS, and trust this authority")
	key := flag.String("i", "", "log in over SSH with this private key")
	hosts := flag.String("known-hosts", "", "the host keys for that")
	flag.Parse()

	visit, err := visitor(*port, *path, *ca)
	if *key != "" {
		visit, err = commander(*port, *key, *hosts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netpool:", err)
		os.Exit(1)
	}
	start := time.Now()
	ok := run(*total, *workers, visit)
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

// visitor returns what is done with target i, by its address: it reports whether that went well.
func visitor(port int, path, ca string) (func(addr string) bool, error) {
	if ca != "" {
		return shaker(port, ca)
	}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		Timeout:   10 * time.Second,
	}
	return func(addr string) bool { return ask(client, addr, port, path) }, nil
}

// shaker shakes hands over TLS, with nothing around it.
func shaker(port int, ca string) (func(addr string) bool, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: want certificates in PEM form", ca)
	}
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: cfg}
	return func(addr string) bool {
		c, err := d.Dial("tcp", addr+":"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		return c.Close() == nil
	}, nil
}

func run(total, workers int, visit func(addr string) bool) int {
	var next, ok atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < total; i = int(next.Add(1)) - 1 {
				if visit(fmt.Sprintf("127.%d.%d.%d", 1+i/50_000, i/250%200, 1+i%250)) {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(ok.Load())
}

// ask reports whether the target answers 200 with its own address in the body.
func ask(client *http.Client, addr string, port int, path string) bool {
	resp, err := client.Get(fmt.Sprintf("http://%s:%d%s", addr, port, path))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte(`"`+addr+`"`))
}
