package cli_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// chaosSeed is the seed of the first round: MUSTER_CHAOS_SEED, else another one each time.
func chaosSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64() % 1_000_000
	if text := os.Getenv("MUSTER_CHAOS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MUSTER_CHAOS_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("MUSTER_CHAOS_SEED=%d", seed)
	return seed
}

// chaos skips a test that is not for every day.
func chaos(t *testing.T) {
	t.Helper()
	if os.Getenv("MUSTER_CHAOS") == "" {
		t.Skip("set MUSTER_CHAOS=1, or say make chaos")
	}
}

// rounds calls test once per seed.
func rounds(t *testing.T, n int, test func(*testing.T, *rand.Rand)) {
	t.Helper()
	first := chaosSeed(t)
	for seed := first; seed < first+uint64(n); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			test(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// killed is a run that was killed at a moment of the seed's choice, and closed by the next command.
type killed struct {
	*site
	targets int
	job     muster.Job
	results map[int]muster.Result
}

// kill runs a method on a fleet of which some fail and some are slow, and kills it in the middle.
func kill(t *testing.T, r *rand.Rand, method string, more ...string) *killed {
	t.Helper()
	f := sim.Fleet{Seed: r.Uint64()}
	if err := f.Mix.UnmarshalText([]byte("ok*80,slow:1ms-30ms*12,status:503*4,reset*3,close-early*1")); err != nil {
		t.Fatal(err)
	}
	k := &killed{site: newSiteOf(t, f), targets: 200 + r.IntN(1800)}
	args := append([]string{
		"run", "http", method, "/status", "-q", "-w", k.set(), "-f", fmt.Sprintf("%d!", 1+r.IntN(200)),
		"--order", "shuffle", "--seed", fmt.Sprint(r.Uint32()),
	}, more...)
	p := k.start(args...)
	k.awaitRequests(1 + r.IntN(k.targets*9/10)) // by then it has its record
	p.Process.Kill()
	p.end()

	closing := k.run(0, "job", "ls", "--json")
	k.job = k.site.job("last")
	l := &k.job.Ledger
	if k.job.State == muster.StateInterrupted {
		wants(t, closing.err, "(?m)^muster: run "+k.job.ID+` was interrupted; closed: \d+ targets: `)
	} else if k.job.State != muster.StateDone { // done: it was faster than the signal
		t.Fatalf("the state is %s", k.job.State)
	}
	if !l.Closed() || l.Targets != k.targets {
		t.Fatalf("the ledger is not closed: %s", l)
	}
	k.results = k.site.results("last")
	if len(k.results) != k.targets {
		t.Fatalf("%d results of %d targets", len(k.results), k.targets)
	}
	for o, n := range count(k.results) {
		if l.Count(o) != n {
			t.Errorf("%d results are %s, the ledger says %d", n, o, l.Count(o))
		}
	}
	return k
}

// set names all targets: addresses in a row.
func (k *killed) set() string {
	return fmt.Sprintf("127.50.[1-%d].[1-100]:%s,127.51.0.[1-%d]:%[2]s", k.targets/100-1, k.fleet.Port(), k.targets%100+100)
}

// attempted checks the results against what the fleet received: what has an outcome of an
// attempt was hit, what was not attempted was not.
func (k *killed) attempted(t *testing.T, hits map[string]int) {
	t.Helper()
	for _, r := range k.results {
		switch hit := hits[r.Target] > 0; {
		case r.Outcome == muster.NotAttempted && hit && k.never():
			t.Errorf("%s was hit and counts as not attempted", r.Target)
		case (r.Outcome.Answered() || r.Outcome == muster.Failed) && !hit:
			t.Errorf("%s is %s and was never hit", r.Target, r.Outcome)
		}
	}
}

func (k *killed) never() bool { return strings.Contains(k.job.Command, " POST ") }

// killSafe kills a run that only looks, and runs the rest.
func killSafe(t *testing.T, r *rand.Rand) {
	k := kill(t, r, "GET")
	k.attempted(t, k.hits())
	if n := k.job.Ledger.Count(muster.Lost); n > 0 {
		t.Errorf("%d targets that may be repeated are lost", n)
	}
	rest := k.job.Ledger.Count(muster.NotAttempted)
	if rest == 0 {
		return
	}
	before := k.hits()
	k.start("run", "http", "GET", "/status", "-q", "-w", "@"+k.job.ID+":not_attempted").end()
	if j := k.site.job("last"); j.Ledger.Targets != rest || !j.Ledger.Closed() || j.ID == k.job.ID {
		t.Errorf("the rest was %s, want %d targets", &j.Ledger, rest)
	}
	after := k.hits()
	for _, r := range k.results {
		again := after[r.Target] > before[r.Target]
		if want := r.Outcome == muster.NotAttempted; again != want {
			t.Errorf("%s (%s) was hit again: %v, want %v", r.Target, r.Outcome, again, want)
		}
	}
	if len(after) != k.targets {
		t.Errorf("%d of %d targets were reached in the end", len(after), k.targets)
	}
}

// killNever kills a run that must not be repeated, and runs the rest: nothing is hit twice,
// and what is in doubt is lost.
func killNever(t *testing.T, r *rand.Rand) {
	k := kill(t, r, "POST")
	rest := k.job.Ledger.Count(muster.NotAttempted)
	if rest > 0 {
		k.start("run", "http", "POST", "/status", "-q", "-w", "@"+k.job.ID+":not_attempted").end()
		if j := k.site.job("last"); j.Ledger.Targets != rest || j.Ledger.Count(muster.NotAttempted)+j.Ledger.Count(muster.Lost) > 0 {
			t.Errorf("the rest was %s, want %d targets", &j.Ledger, rest)
		}
	}
	// By now the fleet has read all that the dead process had sent.
	hits := k.hits()
	for addr, n := range hits {
		if n > 1 {
			t.Errorf("%s was hit %d times", addr, n)
		}
	}
	unhit := 0
	for _, r := range k.results {
		switch hit := hits[r.Target] > 0; {
		case r.Outcome == muster.Lost:
			if !hit {
				unhit++ // reserved, and not begun
			}
		case !hit:
			t.Errorf("%s (%s) was never hit, though the rest was run", r.Target, r.Outcome)
		}
	}
	if len(hits) != k.targets-unhit {
		t.Errorf("%d addresses were hit, want %d", len(hits), k.targets-unhit)
	}
}

func TestKillSafe(t *testing.T)       { t.Parallel(); rounds(t, 3, killSafe) }
func TestKillNever(t *testing.T)      { t.Parallel(); rounds(t, 3, killNever) }
func TestChaosKillSafe(t *testing.T)  { chaos(t); t.Parallel(); rounds(t, 60, killSafe) }
func TestChaosKillNever(t *testing.T) { chaos(t); t.Parallel(); rounds(t, 60, killNever) }
