//go:build linux

package dial_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/dial"
)

// roleEnv makes the test binary play another process.
const roleEnv = "DIAL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "acceptor":
		acceptor()
	case "poor":
		poor()
	case "icmp":
		icmp()
	default:
		goleak.VerifyTestMain(m)
	}
}

// play starts this binary in a role. Its standard input stays open until the test ends.
func play(tb testing.TB, role string) *bufio.Reader {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	return bufio.NewReader(out)
}

// acceptor accepts on all loopback addresses, closes what the client closed, prints its address, and
// ends with its standard input.
func acceptor() {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(strings.Replace(l.Addr().String(), "0.0.0.0", "127.0.0.1", 1))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	os.Stdin.Read(make([]byte, 1))
}

// icmp says which ICMP socket this user may have.
func icmp() {
	var d dial.Dialer
	fd, raw, err := d.OpenICMP(4)
	fmt.Printf("raw=%v %v", raw, err)
	if err == nil {
		d.Close(fd)
	}
}
