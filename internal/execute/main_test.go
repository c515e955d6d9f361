package execute

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/internal/sim"
)

// roleEnv makes the test binary play another process: its value is a child as JSON.
const roleEnv = "MUSTER_EXECUTE_TEST_CHILD"

// child says which process to play, and with what.
type child struct {
	Role     string
	Fleet    sim.Fleet `json:",omitzero"`
	Shortage *shortage `json:",omitzero"`
	Mass     *mass     `json:",omitzero"`
	// Space are namespaces of its own, as for clone(2).
	Space uintptr `json:"-"`
}

func TestMain(m *testing.M) {
	if text := os.Getenv(roleEnv); text != "" {
		if err := play(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if _, err := dial.RaiseLimit(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m)
}

func play(text string) error {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	if _, err := dial.RaiseLimit(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	roles := map[string]func(context.Context, *child) error{
		"fleet":    playFleet,
		"mass":     func(ctx context.Context, c *child) error { return c.Mass.run(ctx) },
		"shortage": func(ctx context.Context, c *child) error { return c.Shortage.run(ctx) },
	}
	return roles[c.Role](ctx, &c)
}

// start plays c in a process of its own, which ends with the test, and returns what it prints.
func (c *child) start(t testing.TB) *bufio.Reader {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: c.Space}
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
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", c.Role, err)
		}
	})
	return bufio.NewReader(out)
}

// playFleet serves a fleet and prints its port and where its counters are.
func playFleet(ctx context.Context, c *child) error {
	c.Fleet.OnReady = func(s *sim.Server) { fmt.Println(s.Port(), s.AdminURL()) }
	return c.Fleet.Run(ctx)
}
