package rollup

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/nodeset"
)

func TestMembersAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sets [2]Members
		model := map[int]bool{}
		for k := range sets {
			for range rapid.IntRange(0, 4).Draw(t, "runs") {
				from := rapid.SampledFrom([]int{0, 7, 65_530, 65_536, 900_000}).Draw(t, "from")
				step := rapid.SampledFrom([]int{1, 3, 40_000}).Draw(t, "step")
				for i := range rapid.SampledFrom([]int{1, 10, 5000}).Draw(t, "n") {
					sets[k].Add(from + (i*step)%200_000)
					model[from+(i*step)%200_000] = true
				}
			}
		}
		sets[0].Merge(&sets[1])
		got := slices.Collect(sets[0].All())
		if want := slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) || sets[0].Len() != len(want) {
			t.Fatalf("got %d members, want %d", len(got), len(want))
		}
	})
}

func TestNodes(t *testing.T) {
	t.Parallel()
	var list names
	for i := range 100 {
		list = append(list, fmt.Sprintf("web%d", i+1))
	}
	list = append(list, "")
	var g Group
	g.Members = &Members{}
	for _, i := range []int{52, 2, 1, 0, 4, 100} {
		g.Members.Add(i)
	}
	for _, c := range []struct {
		limit int
		want  string
	}{
		{0, "#100,web[1-3,5,53]"}, // #100 is the row without an id
		{18, "#100,web[1-3,5,53]"},
		{17, "#100,… (5 more)"},
		{16, "… (6)"},
		{1, "… (6)"},
	} {
		if got := g.Nodes(list, c.limit); got != c.want {
			t.Errorf("limit %d: %q, want %q", c.limit, got, c.want)
		}
	}
}

// A shortened set is as short as asked, is a start of the set, and counts the rest.
func TestShorten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []string
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			list = append(list, fmt.Sprintf("n%d-%d", rapid.IntRange(0, 9).Draw(t, "a"), rapid.IntRange(0, 99).Draw(t, "b")))
		}
		set := nodeset.New(list...)
		limit := rapid.IntRange(1, 120).Draw(t, "limit")
		got := shorten(set, limit)
		if got == set.String() {
			if len(got) > limit {
				t.Fatalf("%q is longer than %d", got, limit)
			}
			return
		}
		head, tail, ok := strings.Cut(got, ",… (")
		if !ok {
			if got != fmt.Sprintf("… (%d)", set.Len()) {
				t.Fatalf("got %q", got)
			}
			return
		}
		shown, err := nodeset.Parse(head)
		if err != nil || len(got) > limit || !set.Range(0, shown.Len()).Equal(shown) || tail != fmt.Sprintf("%d more)", set.Len()-shown.Len()) {
			t.Fatalf("limit %d: %q, %v", limit, got, err)
		}
	})
}

// computed is a list of a million addresses that takes no memory.
type computed int

func (c computed) Len() int { return int(c) }

func (c computed) At(i int) (muster.Target, error) {
	return muster.Target{ID: fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255)}, nil
}

func (c computed) Hash() [32]byte { return [32]byte{} }

// A million members cost a few megabytes, in however many groups.
func TestFullMembersAreSmall(t *testing.T) {
	if os.Getenv("MUSTER_FULL") == "" {
		t.Skip("set MUSTER_FULL=1")
	}
	const n, groups = 1_000_000, 10_000
	var before, after runtime.MemStats
	sets := make([]Members, groups)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		sets[(i*2654435761>>7)%groups].Add(i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d members in %d groups take %d MiB", n, groups, grown>>20)
	} else {
		t.Logf("%d members in %d groups take %d KiB", n, groups, grown>>10)
	}
	runtime.KeepAlive(sets)
}

// A million members fold in two seconds and 200 MB.
func TestFullFoldOfAMillion(t *testing.T) {
	if os.Getenv("MUSTER_FULL") == "" {
		t.Skip("set MUSTER_FULL=1")
	}
	const n = 1_000_000
	table := Table{}
	for i := range n {
		r := muster.Result{Index: i, Outcome: muster.OK, Status: "200 OK"}
		if i%10 == 3 {
			r = r.Fail(muster.FailRefused, "")
		}
		table.Add(nil, &r)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	total := 0
	for _, g := range table.Groups() {
		text := g.Nodes(computed(n), 0)
		runtime.ReadMemStats(&after)
		total += g.Count
		t.Logf("%s: %d members, %d bytes of text, %v, heap +%d MiB", g.Key, g.Count, len(text), time.Since(start), (after.HeapInuse-before.HeapInuse)>>20)
	}
	if took := time.Since(start); took > 2*time.Second || total != n {
		t.Errorf("folding %d took %v", total, took)
	}
	if peak := (after.HeapInuse - before.HeapInuse) >> 20; peak > 200 {
		t.Errorf("folding took %d MiB", peak)
	}
}

func BenchmarkNodes(b *testing.B) {
	const n = 100_000
	var m Members
	for i := range n {
		m.Add(i)
	}
	for _, limit := range []int{0, 100} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Nodes(computed(n), limit)
			}
		})
	}
}
