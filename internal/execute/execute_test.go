package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/inventory"
)

// fleet starts a simulated fleet and returns its port.
func fleet(t testing.TB, f sim.Fleet) *sim.Server {
	t.Helper()
	s, err := f.Start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func frozen(t testing.TB, sets ...string) *inventory.Frozen {
	t.Helper()
	l, err := inventory.Freeze(t.Context(), inventory.Query{Sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func spec(with string, plan muster.Plan) muster.JobSpec {
	return muster.JobSpec{Schema: muster.SpecVersion, Action: muster.Action{Probe: "http", With: json.RawMessage(with)}, Plan: plan}
}

// drive runs a spec and returns its account, storing the results when rec is not nil.
func drive(t testing.TB, w *Work, l muster.List, rec *store.Recorder) muster.Ledger {
	t.Helper()
	run := w.Start(l, nil)
	for batch := range run.Batches(t.Context()) {
		if rec != nil {
			if err := rec.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	return run.Status().Ledger
}

func TestExecuteCountsAsTheFleetDoes(t *testing.T) {
	t.Parallel()
	server := fleet(t, sim.Fleet{Seed: 1})
	l := frozen(t, "127.3.[0-9].[1-200]:"+server.Port())
	w, err := Compile(spec(`{"url":"/status"}`, muster.Plan{}), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	led := drive(t, w, l, nil)
	stats := server.Stats()
	if led.Count(muster.OK) != 2000 || stats.Requests != 2000 || stats.DistinctAddresses != 2000 {
		t.Errorf("ledger = %s; the fleet counted %d requests from %d addresses", &led, stats.Requests, stats.DistinctAddresses)
	}
}

func TestCompileRefusesMistakes(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]muster.JobSpec{
		"unknown key":   spec(`{"urll":"/status"}`, muster.Plan{}),
		"bad template":  spec(`{"url":"/{{.x"}`, muster.Plan{}),
		"bad plan":      spec(`{"url":"/"}`, muster.Plan{Rate: -1}),
		"other schema":  {Schema: 99},
		"unknown probe": {Schema: 1, Action: muster.Action{Probe: "gopher"}},
	} {
		if _, err := Compile(s, Surroundings{}); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: error = %v, want one of kind invalid", name, err)
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExecute runs one job of 100,000 targets.
func BenchmarkExecute(b *testing.B) {
	port := cServer(b)
	for _, save := range []bool{false, true} {
		b.Run(fmt.Sprintf("save=%v", save), func(b *testing.B) {
			for b.Loop() {
				l := frozen(b, fmt.Sprintf("127.[1-2].[0-199].[1-250]:%d", port))
				w, err := Compile(spec(`{"url":"/status"}`, muster.Plan{}), Surroundings{})
				if err != nil {
					b.Fatal(err)
				}
				var rec *store.Recorder
				begun, used := time.Now(), cpu()
				if save {
					st, err := store.Open(b.Context(), store.Config{Path: filepath.Join(b.TempDir(), "m.db")})
					if err != nil {
						b.Fatal(err)
					}
					job := muster.Job{ID: muster.NewJobID(time.Now()), Ledger: muster.Ledger{Targets: l.Len()}}
					if rec, err = st.Begin(b.Context(), &job, l); err != nil {
						b.Fatal(err)
					}
					defer st.Close()
				}
				led := drive(b, w, l, rec)
				b.ReportMetric(float64(time.Since(begun))/float64(l.Len())/1e3, "wall-µs/target")
				b.ReportMetric(float64(cpu()-used)/float64(l.Len())/1e3, "cpu-µs/target")
				if led.Count(muster.OK) != l.Len() {
					b.Errorf("ledger = %s", &led)
				}
			}
		})
	}
}
