package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// full skips tests of full size, which run by themselves and without the race detector.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("MUSTER_FULL") == "" {
		t.Skip("MUSTER_FULL=1 runs it")
	}
}

// mass is a job in a process of its own over a fleet in another one, for what it costs.
type mass struct {
	Port    uint16
	Targets int
	Plan    muster.Plan
}

// massReport is what became of it.
type massReport struct {
	Ledger   muster.Ledger
	Failures map[string]int
	Took     time.Duration
	PeakRSS  int // bytes
}

// run is the child's part.
func (m *mass) run(ctx context.Context) error {
	w, err := Compile(spec(`{"url":"/status"}`, m.Plan), Surroundings{})
	if err != nil {
		return err
	}
	defer w.Close()
	begun := time.Now()
	run := w.Start(crowd{n: m.Targets, port: m.Port}, nil)
	results := 0
	for batch := range run.Batches(ctx) {
		results += len(batch)
	}
	rep := massReport{Ledger: run.Status().Ledger, Took: time.Since(begun)}
	if results != m.Targets {
		return fmt.Errorf("%d results of %d targets", results, m.Targets)
	}
	rep.Failures = rep.Ledger.FailureCounts()
	if rep.PeakRSS, err = peakRSS(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rep)
}

// peakRSS is the most memory that the process has had.
func peakRSS() (int, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	var kib int
	_, err = fmt.Sscanf(after, "%d kB", &kib)
	return kib << 10, err
}

func (m *mass) play(t *testing.T) massReport {
	t.Helper()
	c := child{Role: "mass", Mass: m}
	var rep massReport
	if err := json.NewDecoder(c.start(t)).Decode(&rep); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v, %.0f a second, peak memory %d MiB: %s %v", rep.Took, float64(m.Targets)/rep.Took.Seconds(), rep.PeakRSS>>20, &rep.Ledger, rep.Failures)
	return rep
}

// onePercent is a fleet in which one address in a hundred fails, each tenth of them in its own way.
const onePercent = "ok*990,reset*1,reset:accept*1,close-early*1,close-before*1,garbage*1,conflict*1,status:500*1,hang*1,hang-body*1,endless:head*1"

// TestFullFaultyHundredThousand holds the account of 100,000 targets against the fleet's.
func TestFullFaultyHundredThousand(t *testing.T) {
	full(t)
	mix, err := sim.ParseMix(onePercent)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	r := startRemote(t, sim.Fleet{Seed: 11, Mix: mix, Loops: 4})
	p := muster.Plan{Timeout: 5000 * millisecond, ConnectTimeout: 5000 * millisecond}
	rep := (&mass{Port: r.port, Targets: n, Plan: p}).play(t)
	st := r.stats(t)
	led := &rep.Ledger
	by := func(profiles ...string) (sum int) {
		for _, p := range profiles {
			sum += int(st.ByProfile[p])
		}
		return sum
	}
	for _, c := range []struct {
		what         string
		claim, fleet int
	}{
		{"targets", led.Ended(), n},
		{"addresses", n, st.DistinctAddresses},
		{"connections", n, int(st.Connections)},
		{"ok", led.Count(muster.OK), by("ok")},
		{"unexpected", led.Count(muster.Unexpected), by("status:500")},
		{"reset", rep.Failures["reset"], by("reset", "reset:accept", "close-before")},
		{"protocol", rep.Failures["protocol"], by("close-early", "garbage:512", "conflict")},
		{"timeout", rep.Failures["timeout"], by("hang", "hang-body")},
		{"too_large", rep.Failures["too_large"], by("endless:head")},
	} {
		if c.claim != c.fleet || c.claim == 0 {
			t.Errorf("%s: the ledger claims %d, the fleet counted %d", c.what, c.claim, c.fleet)
		}
	}
	if t.Failed() {
		t.Logf("the fleet: %+v", st)
	}
}

// TestFullMillionInBoundedMemory takes a million targets through a process of under 512 MB.
func TestFullMillionInBoundedMemory(t *testing.T) {
	full(t)
	if testing.Short() {
		t.Skip("takes minutes")
	}
	const n = 1_000_000
	// A million hosts share few listening sockets here, whose queues may overflow while this machine is busy;
	// the kernel then sends the SYN again after a second, and after three.
	r := startRemote(t, sim.Fleet{Seed: 12, Loops: 4})
	rep := (&mass{Port: r.port, Targets: n, Plan: muster.Plan{ConnectTimeout: 9000 * millisecond}}).play(t)
	if rep.PeakRSS > 512_000_000 {
		t.Errorf("peak memory %d bytes, want under 512 MB", rep.PeakRSS)
	}
	st := r.stats(t)
	if rep.Ledger.Count(muster.OK) != n || st.Requests != n || st.DistinctAddresses != n {
		t.Errorf("the fleet counted %d requests from %d addresses; ledger = %s", st.Requests, st.DistinctAddresses, &rep.Ledger)
	}
	t.Logf("the fleet was %.0f %% idle", st.IdlePercent)
}

// TestFullMillionStoppedInBoundedMemory stops a million targets at once: those that never began must not be
// held in memory either.
func TestFullMillionStoppedInBoundedMemory(t *testing.T) {
	full(t)
	r := startRemote(t, sim.Fleet{Rules: rules(t, "*=status:500")})
	rep := (&mass{Port: r.port, Targets: 1_000_000, Plan: muster.Plan{MaxErrors: &muster.Size{N: 99}}}).play(t)
	if rep.PeakRSS > 256_000_000 || rep.Ledger.Spent() != 100 || !rep.Ledger.Closed() {
		t.Errorf("peak memory %d bytes; ledger = %s", rep.PeakRSS, &rep.Ledger)
	}
}

// TestFullCancelReachesTenThousand is the cancel of 10,000 in flight at its real speed.
func TestFullCancelReachesTenThousand(t *testing.T) {
	full(t)
	cancelHanging(t, 10_000, time.Second)
}
