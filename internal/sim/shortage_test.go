//go:build unix

package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const childDescriptors = 40

// runChild serves a fleet with few descriptors until standard input ends.
func runChild() error {
	limit := unix.Rlimit{Cur: childDescriptors, Max: childDescriptors}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	f := Fleet{Loops: 1, OnReady: func(s *Server) { fmt.Println(s.Addr(), s.AdminURL()) }}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return f.Run(ctx)
}

// A fleet that runs out of descriptors answers what it has accepted, does not
// spin, and goes on to the waiting connections when others close.
func TestDescriptorShortage(t *testing.T) {
	t.Parallel()
	addr, adminURL := startChild(t)
	var answered, waiting []net.Conn
	for range childDescriptors + 20 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if _, _, err := answerOn(c); err != nil {
			waiting = append(waiting, c)
			continue
		}
		answered = append(answered, c)
	}
	if len(answered) == 0 || len(waiting) < 20 {
		t.Fatalf("%d answered, %d waiting", len(answered), len(waiting))
	}
	for _, c := range answered {
		_ = c.Close()
	}
	for i, c := range waiting {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, _, err := answerOn(c); err != nil {
			t.Fatalf("waiting connection %d: %v", i, err)
		}
		_ = c.Close()
	}
	st := childStats(t, adminURL)
	if st.Requests != childDescriptors+20 || st.AcceptPauses == 0 || float64(st.AcceptPauses) > 10+st.Uptime*110 {
		t.Errorf("after the shortage: %+v", st)
	}
}

func startChild(t *testing.T) (addr, adminURL string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("fleet with few descriptors:", err)
		}
	})
	if _, err := fmt.Fscan(bufio.NewReader(out), &addr, &adminURL); err != nil {
		t.Fatal(err)
	}
	return addr, adminURL
}

func childStats(t *testing.T, adminURL string) (st Stats) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, adminURL+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		t.Fatal(err)
	}
	return st
}
