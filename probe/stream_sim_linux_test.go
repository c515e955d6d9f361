package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// TestStreamsAgainstTheFleet meets every fault that the simulated fleet shows over TCP and in the handshake.
func TestStreamsAgainstTheFleet(t *testing.T) {
	t.Parallel()
	greet := TCP{Steps: []Step{{Expect: "^220 "}, {Send: `hello\r\n`}, {Expect: "^OK .* hello$"}}, IdleTimeout: muster.Duration(200 * time.Millisecond)}
	for _, c := range []struct{ fault, dialogue, handshake string }{
		{"ok", "ok", "ok"},
		{"slow:50ms", "ok", "ok"},
		{"status:554", "unexpected expect ^220 ", "ok"},
		{"reset", "reset", "ok"},
		{"reset:accept", "reset", "reset"},
		{"reset:handshake", "reset", "reset"},
		{"hang", "timeout", "ok"},
		{"hang:accept", "timeout", "timeout"},
		{"hang:handshake", "timeout", "timeout"},
		{"hang-body", "unexpected expect ^OK .* hello$", "ok"},
		{"drip:50ms", "timeout", "ok"},
		{"garbage", "unexpected expect ^220 ", "ok"},
		{"endless", "too_large", "ok"},
		{"close-early", "reset", "ok"},
		{"close-before", "reset", "ok"},
		{"close-before:accept", "reset", "reset"},
		{"close-before:handshake", "reset", "reset"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			rule, err := sim.ParseRule("127.0.0.0/8=" + c.fault)
			if err != nil {
				t.Fatal(err)
			}
			ca := filepath.Join(t.TempDir(), "ca.pem")
			s, err := (&sim.Fleet{Seed: 7, Rules: sim.Rules{rule}, TCP: []string{":0"}, TLS: []string{":0"}, CAOut: ca}).Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			if _, err := os.Stat(ca); err != nil {
				t.Fatal(err)
			}
			lines, tls := fleetTargets(1, s.ServiceAddr(sim.TCP).Port())[0], fleetTargets(1, s.ServiceAddr(sim.TLS).Port())[0]
			env := Env{Timeout: 1500 * time.Millisecond}
			var wg sync.WaitGroup
			check := func(what string, p muster.Prober, at muster.Target, want string) {
				wg.Go(func() {
					r := p.Probe(t.Context(), at)
					got := r.Outcome.String()
					switch r.Outcome {
					case muster.Failed:
						got = r.Failure.String()
					case muster.Unexpected:
						got = fmt.Sprintf("unexpected %s", r.Reason)
					}
					if got != want || r.Timings.Total > 6*time.Second {
						t.Errorf("%s: %s (%s) after %v, want %s", what, got, r.Detail, r.Timings.Total, want)
					}
				})
			}
			check("connect", compileTCPSpec(t, TCP{}, env), lines, "ok")
			check("dialogue", compileTCPSpec(t, greet, env), lines, c.dialogue)
			check("handshake", compileHandshakeSpec(t, Handshake{TLS: TLS{CA: ca}}, env), tls, c.handshake)
			wg.Wait()
		})
	}
}
