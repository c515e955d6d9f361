package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/musterhq/muster"
)

// Tests of several processes run this binary again, in a mode.
const childMode, childPath, childJob = "STORE_TEST_MODE", "STORE_TEST_PATH", "STORE_TEST_JOB"

func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := runChild(mode); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const childTargets = 3000

func runChild(mode string) error {
	ctx := context.Background()
	job := testJob(0)
	job.ID = os.Getenv(childJob)
	cfg := Config{Path: os.Getenv(childPath), Encode: encodeLine}
	s, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Begin(ctx, job, rangeList{n: childTargets})
	if err != nil {
		return err
	}
	switch mode {
	case "never":
		return childNever(ctx, r)
	case "whole":
		return childWhole(ctx, r, job)
	case "full":
		return childFull(ctx, r)
	case "spill":
		return childSpill(ctx, r, cfg)
	}
	return fmt.Errorf("mode %q", mode)
}

// childNever reserves and writes until it is killed, and says what was acknowledged.
func childNever(ctx context.Context, r *Recorder) error {
	for from := 0; from+50 <= childTargets; from += 50 {
		if err := r.Reserve(ctx, collectSeq(from, from+50)); err != nil {
			return err
		}
		fmt.Println("reserved", from, from+50)
		for k := from; k < from+40; k += 10 {
			if err := r.Write(ctx, results(k, k+10)); err != nil {
				return err
			}
			fmt.Println("wrote", k, k+10)
		}
	}
	_, err := io.ReadAll(os.Stdin)
	return err
}

func collectSeq(from, to int) []int {
	ns := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		ns = append(ns, i)
	}
	return ns
}

// childWhole records a job in small writes.
func childWhole(ctx context.Context, r *Recorder, job *muster.Job) error {
	for from := 0; from < childTargets; from += 20 {
		if err := r.Write(ctx, results(from, from+20)); err != nil {
			return err
		}
	}
	job.State = muster.StateDone
	if err := r.Finish(ctx, job); err != nil {
		return err
	}
	return r.Close()
}

// childFull lets no file grow beyond a size that the store soon needs.
func childFull(ctx context.Context, r *Recorder) error {
	signal.Ignore(syscall.SIGXFSZ)
	lim := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lim); err != nil {
		return err
	}
	rs := distinctResults(childTargets)
	for from := 0; from < childTargets; from += 20 {
		if err := r.Write(ctx, rs[from:from+20]); err != nil {
			return err
		}
	}
	_, path, err := r.Health()
	fmt.Println(path)
	fmt.Println(err)
	return nil
}

// childSpill loses its store half way, spills, and dies without a word.
func childSpill(ctx context.Context, r *Recorder, cfg Config) error {
	if err := r.Write(ctx, results(0, 100)); err != nil {
		return err
	}
	if err := os.Rename(cfg.Path, cfg.Path+".away"); err != nil {
		return err
	}
	if err := r.Write(ctx, results(100, 200)); err != nil {
		return err
	}
	if err := r.Reserve(ctx, []int{150, 250}); err != nil {
		return err
	}
	if err := os.Rename(cfg.Path+".away", cfg.Path); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// child starts this binary in a mode; the caller waits for it.
func child(t *testing.T, mode, path, job string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childMode+"="+mode, childPath+"="+path, childJob+"="+job)
	c.Stderr = os.Stderr
	return c
}
