package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestTargetRange(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1: "127.1.0.1", 250: "127.1.[0-0].[1-250]", 50_000: "127.1.[0-199].[1-250]",
		100_000: "127.[1-2].[0-199].[1-250]", 1_000_000: "127.[1-20].[0-199].[1-250]",
	} {
		if got, err := targetRange(n); err != nil || got != want {
			t.Errorf("%d: %q, %v", n, got, err)
		}
	}
	for _, n := range []int{0, -250, 251, 60_000, 50_000 * 255} {
		if got, err := targetRange(n); err == nil {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// Ratios are taken within a round, so a load that slows a whole round down does
// not change them.
func TestRatiosPairRounds(t *testing.T) {
	t.Parallel()
	floor := []sample{{wall: 1, rate: 100, cpuEach: 10}, {wall: 5, rate: 20, cpuEach: 50}, {wall: 2, rate: 50, cpuEach: 20}}
	twice := []sample{{wall: 2, rate: 50, cpuEach: 30}, {wall: 10, rate: 10, cpuEach: 150}, {wall: 4, rate: 25, cpuEach: 60}}
	r := summarize("x", "c", [][]sample{floor, twice}, 1, 0)
	if r.overFloor != 2 || r.ofPool != 3 || r.wall != 4 || r.spread != 200 || r.runs != 3 {
		t.Errorf("row: %+v", r)
	}
	if r := summarize("x", "c", [][]sample{floor}, 0, -1); r.ofPool != 0 || r.overFloor != 1 {
		t.Errorf("row of the floor: %+v", r)
	}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	old := "above\n" + beginMark + "\nold\n" + endMark + "\nbelow\n"
	got, err := splice(old, "\nnew\n")
	if err != nil || got != "above\n"+beginMark+"\n\nnew\n\n"+endMark+"\nbelow\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := splice("no marks", "new"); err == nil {
		t.Error("a file without marks was accepted")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := writeTable(&b, "netpool", []row{{client: "floor", server: "c", sample: sample{wall: 1.5, rate: 12345, rss: 7}, overFloor: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"wall vs floor", "1.50 s", "12,345", "7.0 MiB", "1.00x"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestChildIsMeasured(t *testing.T) {
	t.Parallel()
	u, err := runChild(t.Context(), []string{"X=from the environment"}, "sh", "-c", `echo "$X"; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`)
	if err != nil || u.wall <= 0 || u.cpu <= 0 || u.rss <= 0 || string(u.stdout) != "from the environment\n" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := runChild(t.Context(), nil, "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("failing child: %v", err)
	}
	if got := machine(time.Unix(0, 0)); !strings.Contains(got, "1970-01-01") {
		t.Error(got)
	}
}

// What fping reads is what muster is told.
func TestPingHosts(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/hosts"
	if err := writeHosts(path, pingHosts); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(b))
	targets, err := pingRange(pingHosts)
	if err != nil || len(lines) != pingHosts || lines[0] != "127.1.0.1" || lines[pingHosts-1] != "127.1.239.250" || targets != "127.1.[0-239].[1-250]" {
		t.Errorf("%d hosts from %s to %s, %s, %v", len(lines), lines[0], lines[len(lines)-1], targets, err)
	}
	if _, err := echoesReceived(); err != nil {
		t.Error(err)
	}
}
