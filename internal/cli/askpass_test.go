package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/sim"
)

// TestSecretsAreAskedFor types a password that nobody sees, which logs in and is stored nowhere; a
// re-run asks again.
func TestSecretsAreAskedFor(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, sim.Fleet{Seed: 1, SSH: []string{":0"}})
	target := fmt.Sprintf("127.0.0.1:%d", s.fleet.ServiceAddr(sim.SSH).Port())
	for _, args := range [][]string{
		{"run", "ssh", "-w", target, "-F", "none", "--agent", "none", "--host-key", "off", "--ask-pass", "--", "hostname"},
		{"job", "rerun", "--all"},
	} {
		tt := newTerminal(t, 100)
		p := s.command(args...)
		tt.run(p)
		tt.await(t, "muster: login password: ")
		tt.press(sim.Password + "\n")
		p.exits(0)
		if screen := strings.Join(tt.seen(), "\n"); strings.Contains(screen, "password: "+sim.Password) || !strings.Contains(screen, "node-127-0-0-1") {
			t.Errorf("the screen is:\n%s", screen)
		}
	}
	p := s.run(0, "job", "show", "--json")
	if out := p.out.String(); strings.Contains(out, `"password":"`+sim.Password) || !strings.Contains(out, "ask:login password") {
		t.Errorf("the stored run is %s", out)
	}
}
