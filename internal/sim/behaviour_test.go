package sim

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outcome is what a client saw of one GET.
type outcome struct {
	status int
	length int64
	body   string
	err    error
}

func observe(t *testing.T, behaviour string, secure bool) outcome {
	t.Helper()
	s := fleetOf(t, behaviour)
	c, err := dialFleet(s, "127.5.6.7", secure)
	if err != nil {
		return outcome{err: err}
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	resp, body, err := ask(t, c, "/")
	o := outcome{body: body, err: err}
	if resp != nil {
		o.status, o.length = resp.StatusCode, resp.ContentLength
	}
	return o
}

func TestBehaviours(t *testing.T) {
	t.Parallel()
	cut := func(o outcome) bool { return o.status == 200 && errors.Is(o.err, io.ErrUnexpectedEOF) && o.body != "" }
	noByte := func(o outcome) bool {
		return o.status == 0 && errors.Is(o.err, io.ErrUnexpectedEOF) || errors.Is(o.err, io.EOF)
	}
	reset := func(o outcome) bool { return errors.Is(o.err, syscall.ECONNRESET) }
	whole := func(o outcome) bool {
		return o.status == 200 && o.err == nil && strings.Contains(o.body, `"addr":"127.5.6.7"`)
	}
	cases := map[string]func(outcome) bool{
		"ok":                  whole,
		"slow:30ms":           whole,
		"once":                whole,
		"drip:1ms":            whole,
		"status:503":          func(o outcome) bool { return o.status == 503 && o.err == nil && o.body != "" },
		"status:204":          func(o outcome) bool { return o.status == 204 && o.err == nil && o.body == "" },
		"reset":               func(o outcome) bool { return o.status == 0 && reset(o) },
		"reset:accept":        reset,
		"reset:body":          func(o outcome) bool { return o.status == 200 && (reset(o) || cut(o)) },
		"close-early":         cut,
		"close-before":        noByte,
		"close-before:accept": func(o outcome) bool { return noByte(o) || reset(o) || errors.Is(o.err, syscall.EPIPE) },
		"garbage:300":         func(o outcome) bool { return o.status == 0 && strings.Contains(o.err.Error(), "malformed HTTP") },
		"oversized:100k":      func(o outcome) bool { return o.err == nil && len(o.body) == 100<<10 && o.length == 100<<10 },
		"chunked":             func(o outcome) bool { return whole(o) && o.length == -1 },
		"conflict":            func(o outcome) bool { return o.status == 0 && strings.Contains(o.err.Error(), "Content-Length") },
		"conflict:chunked":    func(o outcome) bool { return whole(o) && o.length == -1 },
		"redirect":            func(o outcome) bool { return o.status == 302 },
		"warmup:1":            func(o outcome) bool { return o.status == 503 },
		"warmup:0":            whole,
		"flaky(1,500)":        func(o outcome) bool { return o.status == 500 },
		"flaky:0":             whole,
		"version:7.7.7":       func(o outcome) bool { return strings.Contains(o.body, `"version":"7.7.7"`) },
		"slow:1ms-3ms+version:8+status:418": func(o outcome) bool {
			return o.status == 418 && strings.Contains(o.body, `"version":"8"`)
		},
	}
	for behaviour, want := range cases {
		for _, secure := range []bool{false, true} {
			name := behaviour + "/plain"
			if secure {
				name = behaviour + "/tls"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if got := observe(t, behaviour, secure); !want(got) {
					t.Errorf("got status %d, length %d, error %v, body %.300q", got.status, got.length, got.err, got.body)
				}
			})
		}
	}
}

// A hanging address takes the request, stays silent, and lets go of the
// connection when the client does.
func TestHang(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"hang", "hang:accept", "hang-body", "slow:1h", "drip:1h"} {
		for _, secure := range []bool{false, true} {
			if secure && behaviour == "hang:accept" {
				continue // the handshake hangs, which the plain case shows
			}
			t.Run(behaviour, func(t *testing.T) {
				t.Parallel()
				s := fleetOf(t, behaviour)
				c := wire(t, s, "127.1.1.1", secure)
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				eventually(t, s, "service", func(st Stats) bool { return st.ByProfile[behaviourName(t, behaviour)] == 1 })
				if behaviour == "hang-body" {
					got := make([]byte, 100)
					if _, err := io.ReadFull(c, got); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 200")) {
						t.Fatalf("head: %q, %v", got, err)
					}
				}
				_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
				if rest, err := io.ReadAll(c); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the address did not keep silent: %q, %v", rest, err)
				}
				_ = c.Close()
				eventually(t, s, "departure", func(st Stats) bool { return st.Open == 0 && st.Aborted == 1 })
			})
		}
	}
}

func behaviourName(t *testing.T, s string) string {
	t.Helper()
	b, err := ParseBehaviour(s)
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEndless(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"endless", "endless:chunked", "endless:head"} {
		for _, secure := range []bool{false, true} {
			t.Run(behaviour, func(t *testing.T) {
				t.Parallel()
				s := fleetOf(t, behaviour)
				c := wire(t, s, "127.1.1.1", secure)
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				const enough = 4 << 20
				if n, err := io.CopyN(io.Discard, c, enough); n != enough {
					t.Fatalf("it ended after %d bytes: %v", n, err)
				}
				_ = c.Close()
				eventually(t, s, "departure", func(st Stats) bool { return st.Open == 0 && st.BytesSent >= enough })
			})
		}
	}
}

// The second request to an address with one failure to warm up succeeds, each
// address on its own.
func TestWarmupCountsPerAddress(t *testing.T) {
	t.Parallel()
	s := fleetOf(t, "warmup:1")
	for _, ip := range []string{"127.0.0.1", "127.200.0.1"} {
		for i, want := range []int{503, 200, 200} {
			if resp, _ := get(t, s, ip, "/"); resp.StatusCode != want {
				t.Errorf("request %d of %s: got %d, want %d", i+1, ip, resp.StatusCode, want)
			}
		}
	}
}

func TestRedirectLands(t *testing.T) {
	t.Parallel()
	s := fleetOf(t, "redirect")
	resp, _ := get(t, s, "127.0.0.1", "/x")
	if resp, _ := get(t, s, "127.0.0.1", resp.Header.Get("Location")); resp.StatusCode != 200 {
		t.Errorf("landing page: %s", resp.Status)
	}
	s = fleetOf(t, "redirect:loop")
	if resp, _ := get(t, s, "127.0.0.1", "/x?y"); resp.Header.Get("Location") != "/x?y" {
		t.Errorf("loop goes to %q", resp.Header.Get("Location"))
	}
}

func TestParseBehaviourRejects(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "nonsense", "status", "status:1000", "status:-1", "slow", "slow:fast", "slow:2s-1s", "slow:exp(1s", "hang:often",
		"hang+reset", "drip:0s", "oversized:0", "oversized:9999999999G", "flaky:2", "warmup:x", "version:", "redirect:a b",
		"slow:2h", "normal(1ms)", "slow:lognormal(1ms,-1)", "garbage:2M",
	} {
		if b, err := ParseBehaviour(text); err == nil {
			t.Errorf("%q was read as %+v", text, b)
		}
	}
}
