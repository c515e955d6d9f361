package cli_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// A disk that is full at a moment of the seed's choice: every target has its one result in the
// store or in a file, or is told to be nowhere, and the fleet agrees with them.
func diskFull(t *testing.T, r *rand.Rand) {
	f := sim.Fleet{Seed: r.Uint64()}
	if err := errors.Join(f.Mix.UnmarshalText([]byte("slow:1ms-10ms*95,status:503*5")), f.Body.UnmarshalText([]byte("{{hex 4000}}"))); err != nil {
		t.Fatal(err)
	}
	s := newSiteOf(t, f)
	method := []string{"GET", "POST"}[r.IntN(2)]
	p := s.command("run", "http", method, "/", "-q", "-w", s.at("127.60.[1-6].[1-100]"), "-f", fmt.Sprintf("%d!", 5+r.IntN(100)))
	p.sh(fmt.Sprintf(`ulimit -f %d; exec "$@"`, 1200+r.IntN(3000))) // blocks of 512 bytes
	p.begin()
	var got map[int]muster.Result
	nowhere := 0
	if code := p.end(); code == 1 {
		got = s.spilled(p, "")
		if m := regexp.MustCompile(`; (\d+) results were kept nowhere: `).FindStringSubmatch(p.err.String()); m != nil {
			nowhere, _ = strconv.Atoi(m[1]) // every folder is full
		}
	}
	stored := s.stored()
	for i := range got {
		if _, ok := stored[i]; ok {
			t.Errorf("target %d is in the store and in a file", i)
		}
	}
	maps.Copy(stored, got)
	if len(stored)+nowhere != 600 {
		t.Errorf("%d results of 600 targets, and %d that nothing took", len(stored), nowhere)
	}
	hits := s.hits()
	for _, res := range stored {
		if n, want := hits[res.Target], boolInt(res.Outcome != muster.NotAttempted); n != want {
			t.Errorf("%s is %s and was hit %d times", res.Target, res.Outcome, n)
		}
	}
	if j := s.job("last"); !j.State.Final() || !j.Ledger.Closed() {
		t.Errorf("the record says %s, %s", j.State, &j.Ledger)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Hardly any descriptors, however few: every target is reached once.
func fewDescriptors(t *testing.T, r *rand.Rand) {
	s := newSite(t, "127.96.1.0/24=slow:1ms-20ms")
	n, method := 40+r.IntN(160), []string{"GET", "POST"}[r.IntN(2)]
	p := s.command("run", "http", method, "/", "-q", "-w", s.at("127.96.[0-3].[1-200]")).sh(fmt.Sprintf(`ulimit -n %d; exec "$@"`, n))
	p.begin()
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d with %d descriptors: %s\n%s", code, n, p.err.tail(), s.run(0, "job", "results", "last", "--only", "not_ok", "--jsonl").out.tail())
	}
	if st := s.fleet.Stats(); st.Requests != 800 || st.MaxHitsPerAddress != 1 || st.PeakOpen > int64(n) {
		t.Errorf("with %d descriptors the fleet received %d requests, %d at one address, %d at once", n, st.Requests, st.MaxHitsPerAddress, st.PeakOpen)
	}
}

func TestChaosDiskFull(t *testing.T)       { chaos(t); t.Parallel(); rounds(t, 50, diskFull) }
func TestChaosFewDescriptors(t *testing.T) { chaos(t); t.Parallel(); rounds(t, 50, fewDescriptors) }
