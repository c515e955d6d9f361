package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// A spilled reservation is on the disk, and so is the name of its file, before Reserve returns.
func TestSpilledReservationIsDurable(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	home := filepath.Dir(cfg.Path)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	r := Detached(cfg, testJob(1), 10, errors.New("broken"))
	var synced []string
	r.spill.sync = func(f *os.File) error {
		synced = append(synced, f.Name())
		return f.Sync()
	}
	file := filepath.Join(home, spillName(r.id))
	for i, want := range [][]string{{home, file}, {home, file, file}} {
		if err := r.Reserve(t.Context(), []int{i}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
	}
}

// A disk that does not confirm a reservation stops the job, also when it confirms the next one.
func TestReservationThatIsNotDurableFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(f *os.File) bool{
		"folder": func(f *os.File) bool { st, err := f.Stat(); return err == nil && st.IsDir() },
		"file":   func(f *os.File) bool { st, err := f.Stat(); return err == nil && st.Mode().IsRegular() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
				t.Fatal(err)
			}
			r := Detached(cfg, testJob(1), 10, errors.New("broken"))
			r.spill.sync = func(f *os.File) error {
				if broken(f) {
					return errors.New("no power")
				}
				return nil
			}
			refusesToReserve(t, r)
			r.spill.sync = nil
			refusesToReserve(t, r)
		})
	}
}

func refusesToReserve(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Reserve(t.Context(), []int{1}); muster.KindOf(err) != muster.KindUnavailable {
		t.Errorf("reserve: %v", err)
	}
}

// Where no later run looks, nothing is reserved: results may go there, the job may not go on.
func TestNothingIsReservedAwayFromTheStore(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	// A file where the folder should be: nothing can be created in it.
	if err := os.WriteFile(filepath.Dir(cfg.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	job := testJob(int(time.Now().UnixNano() % 1_000_000))
	job.ID += fmt.Sprint("-reserve-", os.Getpid())
	r := Detached(cfg, job, 5, errors.New("broken"))
	refusesToReserve(t, r)
	if _, path, _ := r.Health(); path != "" {
		t.Errorf("a refused reservation made %s", path)
	}
	path := spills(t, r, 0, 5, "broken")
	defer os.Remove(path)
	refusesToReserve(t, r)
}

// A job that another process has closed may not begin another attempt.
func TestClosedJobReservesNothing(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	r := begin(t, s, deadJob(1), 10)
	if closed, err := s.Reap(t.Context()); err != nil || len(closed) != 1 {
		t.Fatal(len(closed), err)
	}
	for range 2 {
		if err := r.Reserve(t.Context(), []int{1}); muster.KindOf(err) != muster.KindConflict {
			t.Errorf("reserve: %v", err)
		}
	}
}
