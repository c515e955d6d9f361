package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
)

func tableOf(t testing.TB, by string, rs []muster.Result) *rollup.Table {
	t.Helper()
	b, err := rollup.ParseBy(by)
	if err != nil {
		t.Fatal(err)
	}
	table := &rollup.Table{By: b}
	for i := range rs {
		table.Add(nil, &rs[i])
	}
	return table
}

func summary(t *testing.T) *Summary {
	rs := results()
	j := &muster.Job{ID: "261120-183441-k3fz", State: muster.StateStopped, Why: "error budget", Started: start, Duplicates: 2}
	j.Spec.Reason = `why "not"`
	j.Ledger.Targets = len(rs)
	for i := range rs {
		j.Ledger.Add(&rs[i])
	}
	s := NewSummary(j)
	for _, by := range []string{"status", "body"} {
		for g := range Groups(tableOf(t, by, rs), fleet) {
			s.Groups = append(s.Groups, g)
		}
	}
	s.Numbers = []Number{{"ms", rollup.Stats{Count: 2, Min: 1, Median: 1, P90: 2.5, P99: 2.5, Max: 2.5, Mean: 1.75}}}
	s.Slowest = []Slow{{"web1", 0, 3.5}, {"web2", 1, 2}}
	return s
}

func TestSummaryGolden(t *testing.T) {
	t.Parallel()
	var out, indented bytes.Buffer
	if err := summary(t).Write(&out, nil); err != nil {
		t.Fatal(err)
	}
	if got := AppendSummary(nil, summary(t)); string(got)+"\n" != out.String() {
		t.Errorf("AppendSummary writes something else: %s", got)
	}
	if err := json.Indent(&indented, out.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.json", indented.Bytes())
}

func TestSummaryReadsBack(t *testing.T) {
	t.Parallel()
	want := summary(t)
	var got Summary
	if err := json.Unmarshal(AppendSummary(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	for i := range want.Groups {
		want.Groups[i].Sample = nil // not part of the struct's JSON
	}
	want.Ledger.ByFailure = got.Ledger.ByFailure
	want.Job.Started = got.Job.Started // milliseconds
	if d := cmp.Diff(want, &got); d != "" {
		t.Error(d)
	}
}

// counting counts its calls and fails after some.
type counting struct{ calls, limit, size int }

func (c *counting) Write(p []byte) (int, error) {
	c.calls++
	c.size = max(c.size, len(p))
	if c.calls > c.limit {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

// Groups are written as they come, and not gathered after the reader has gone.
func TestSummaryStreams(t *testing.T) {
	t.Parallel()
	w, asked := &counting{limit: 2}, 0
	groups := func(yield func(Group) bool) {
		for i := range 1000 {
			asked++
			if !yield(Group{By: "v", Key: fmt.Sprint(i), Count: 1, Nodes: strings.Repeat("n", 10_000)}) {
				return
			}
		}
	}
	err := (&Summary{Schema: 1}).Write(w, groups)
	if !errors.Is(err, ErrClosedPipe) || asked > 30 || w.calls != 3 || w.size > 2*flushAt {
		t.Errorf("%v; asked for %d groups, %d calls of up to %d bytes", err, asked, w.calls, w.size)
	}
	all := &counting{limit: 1 << 20}
	if err := (&Summary{Schema: 1}).Write(all, groups); err != nil || all.calls < 100 {
		t.Errorf("%v after %d calls", err, all.calls)
	}
}

func TestGatheredGolden(t *testing.T) {
	t.Parallel()
	rs := results()
	rs[3].Body = []byte("nginx 1.27\nblue\nlast\n")
	rs[1].Body = rs[0].Body
	always, err := NewColorizer("always", func(string) string { return "" }, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]*Gathered{
		"gathered.txt":       {Width: 80},
		"gathered-wide.txt":  {},
		"gathered-raw.txt":   {Raw: true},
		"gathered-diff.txt":  {Diff: true},
		"gathered-color.txt": {Diff: true, Colors: always},
	} {
		var out bytes.Buffer
		g.W = &out
		err := errors.Join(
			g.Table(tableOf(t, "body", rs), fleet), g.Table(tableOf(t, "status", rs), fleet), g.Table(tableOf(t, "re:(.*)", rs), fleet),
			g.Numbers(summary(t).Numbers), g.Slowest(summary(t).Slowest),
		)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.Bytes())
		if !g.Raw && !g.Colors.On() && strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s holds an escape sequence", name)
		}
	}
}

func TestGatheredFitsTheTerminal(t *testing.T) {
	t.Parallel()
	var list names
	table := &rollup.Table{}
	for i := range 2000 {
		list = append(list, fmt.Sprintf("host%d.example", i*7))
		table.Add(nil, &muster.Result{Index: i, Outcome: muster.OK, Status: strings.Repeat("é", 1+i%3*40)})
	}
	for _, width := range []int{70, 80, 200} {
		var out bytes.Buffer
		if err := (&Gathered{W: &out, Width: width}).Table(table, list); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: %d columns: %s", width, n, line)
			}
		}
		if strings.Count(out.String(), "more)") != 3 {
			t.Errorf("width %d:\n%s", width, out.String())
		}
	}
}

func TestGatheredClosedPipe(t *testing.T) {
	t.Parallel()
	g := &Gathered{W: &counting{}}
	if err := g.Table(tableOf(t, "body", results()), fleet); !errors.Is(err, ErrClosedPipe) {
		t.Error(err)
	}
}
