package sim

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childEnv makes the test binary a fleet with few descriptors; see TestDescriptorShortage.
const childEnv = "MUSTER_SIM_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := runChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// start serves a fleet until the test ends.
func start(t testing.TB, f *Fleet) *Server {
	t.Helper()
	s, err := f.Start(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s
}

// fleetOf is a fleet whose every address does one thing, on a plain and a TLS port.
func fleetOf(t testing.TB, behaviour string) *Server {
	t.Helper()
	mix, err := ParseMix(behaviour)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, &Fleet{Mix: mix, Listen: []string{":0"}, TLS: []string{":0"}})
}

// wire connects to an address of a fleet, through TLS or plainly.
func wire(t testing.TB, s *Server, ip string, secure bool) net.Conn {
	t.Helper()
	c, err := dialFleet(s, ip, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func dialFleet(s *Server, ip string, secure bool) (net.Conn, error) {
	if !secure {
		return net.Dial("tcp", net.JoinHostPort(ip, s.Port()))
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	addr := net.JoinHostPort(ip, fmt.Sprint(s.TLSAddr().Port()))
	return tls.Dial("tcp", addr, &tls.Config{RootCAs: pool})
}

// ask sends a GET and reads the answer.
func ask(t testing.TB, c net.Conn, path string) (*http.Response, string, error) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: fleet\r\n\r\n", path); err != nil {
		return nil, "", err
	}
	return answerOn(c)
}

func answerOn(c net.Conn) (*http.Response, string, error) {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// get asks on a fresh connection and wants an answer.
func get(t testing.TB, s *Server, ip, path string) (*http.Response, string) {
	t.Helper()
	resp, body, err := ask(t, wire(t, s, ip, false), path)
	if err != nil {
		t.Fatalf("GET %s of %s: %v", path, ip, err)
	}
	return resp, body
}

// admin calls the admin endpoint.
func admin(t testing.TB, s *Server, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.AdminURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
	}
	return string(b)
}

// eventually waits until the fleet's counters are as wanted.
func eventually(t testing.TB, s *Server, what string, ok func(Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok(s.Stats()) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come about: %+v", what, s.Stats())
		case <-tick.C:
		}
	}
}
