package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// usage is what a child process took.
type usage struct {
	wall, cpu time.Duration
	rss       int64 // peak, bytes
	stdout    []byte
}

// childLimit ends a child that hangs.
const childLimit = 10 * time.Minute

// runChild runs a command to its end. An exit code other than zero is an error
// that carries the end of what it printed.
func runChild(ctx context.Context, env []string, args ...string) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, childLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, fmt.Errorf("start %s: %w", args[0], err)
	}
	watched := make(chan int64, 1)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { watched <- watchMemory(cmd.Process.Pid, ended) })
	err := cmd.Wait()
	u := usage{wall: time.Since(start), stdout: stdout.Bytes()}
	close(ended)
	wg.Wait()
	u.rss = <-watched
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.cpu = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		if u.rss == 0 {
			u.rss = ru.Maxrss << 10
		}
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, tail(stderr.Bytes(), stdout.Bytes()))
	}
	return u, nil
}

// watchMemory reads the high-water mark of a process until it ends. The figure
// that wait returns would not do: it starts at the memory of the parent.
func watchMemory(pid int, ended <-chan struct{}) (peak int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			peak = max(peak, highWater(string(b)))
		}
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
	}
}

func highWater(status string) int64 {
	_, rest, _ := strings.Cut(status, "VmHWM:")
	rest, _, _ = strings.Cut(rest, "kB")
	kb, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // absent for a process that has ended
	return kb << 10
}

func tail(texts ...[]byte) string {
	all := bytes.TrimSpace(bytes.Join(texts, []byte("\n")))
	return string(all[max(0, len(all)-500):])
}

// busy is the processor time that all processes of the machine have taken.
func busy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	ticks := int64(0)
	for i, f := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq steal ...
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on Linux
}
