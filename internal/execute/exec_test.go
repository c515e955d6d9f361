package execute

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// TestCommandsNeverExceedTheFanout counts, in every one of 200 commands, how many are running.
func TestCommandsNeverExceedTheFanout(t *testing.T) {
	t.Parallel()
	usual := probe.TraitsOf(probe.Exec{}).Fanout
	for name, c := range map[string]struct{ fanout, want int }{"given": {3, 3}, "usual": {0, usual}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			with, err := json.Marshal(probe.Exec{
				Command: []string{`mkdir "$MUSTER_HOST" && set -- * && echo $# >"../n$MUSTER_HOST" && sleep 0.01; rmdir "$MUSTER_HOST"`},
				Shell:   true, Dir: filepath.Join(dir, "running"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "running"), 0o700); err != nil {
				t.Fatal(err)
			}
			s := spec(string(with), muster.Plan{Fanout: c.fanout})
			s.Action.Probe = "exec"
			w, err := Compile(s, Surroundings{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			l := frozen(t, "h[1-200]")
			led := drive(t, w, l, nil)
			if led.Count(muster.OK) != 200 {
				t.Fatalf("ledger = %s", &led)
			}
			if got := mostAtOnce(t, dir); got > c.want || got < 2 {
				t.Errorf("%d commands ran at once, want at most %d", got, c.want)
			}
		})
	}
}

func mostAtOnce(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "nh*"))
	if err != nil || len(files) != 200 {
		t.Fatalf("%d counts: %v", len(files), err)
	}
	most := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(text[:len(text)-1]))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	return most
}
