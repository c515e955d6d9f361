package rollup

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// plainChanges are changes that can be compared.
func plainChanges(c Changes) string {
	var s strings.Builder
	fmt.Fprintf(&s, "same %d, before %v, after %v", c.Same, slices.Collect(c.OnlyBefore.All()), slices.Collect(c.OnlyAfter.All()))
	for _, ch := range c.Changed {
		fmt.Fprintf(&s, "\n%s -> %s: %d %v", ch.From, ch.To, ch.Count, slices.Collect(ch.Members.All()))
	}
	return s.String()
}

func TestCompare(t *testing.T) {
	t.Parallel()
	var c Compare
	for i, status := range []string{"200 OK", "200 OK", "200 OK", "500 no", "200 OK"} {
		r := answer(i, status, "")
		c.Before(nil, &r)
	}
	for i, status := range []string{"200 OK", "500 no", "500 no", "200 OK", "", "200 OK"} {
		r := answer(i, status, "")
		r.Index += 100
		if i == 4 {
			r.Target = "new"
		}
		if i == 5 {
			r = r.Fail(muster.FailRefused, "")
		}
		c.After(nil, &r)
	}
	want := "same 1, before [4], after [104 105]\n200 OK -> 500 no: 2 [101 102]\n500 no -> 200 OK: 1 [103]"
	if d := cmp.Diff(want, plainChanges(c.Changes())); d != "" {
		t.Error(d)
	}
}

// Beyond the keys that have names, changes are noticed all the same.
func TestCompareManyKeys(t *testing.T) {
	t.Parallel()
	c := Compare{By: mustBy("body"), Masks: MaskTime, MaxKeys: 2}
	for i := range 10 {
		r := answer(i, "", fmt.Sprint("10:00:00 body ", i))
		c.Before(nil, &r)
	}
	for i := range 10 {
		r := answer(i, "", fmt.Sprint("11:00:00 body ", i+i/5))
		c.After(nil, &r)
	}
	got := c.Changes()
	if got.Same != 5 || len(got.Changed) != 1 || got.Changed[0].Count != 5 || got.Changed[0].From != Other || got.Changed[0].To != Other {
		t.Errorf("%s", plainChanges(got))
	}
}

func TestCompareAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		by := mustBy(rapid.SampledFrom([]string{"outcome", "body", "status"}).Draw(t, "by"))
		c := Compare{By: by}
		var runs [2]map[string]string
		for run := range runs {
			runs[run] = map[string]string{}
			for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "order")[:rapid.IntRange(0, 8).Draw(t, "n")] {
				r := result(t, i)
				runs[run][r.Target] = by.Key(nil, &r)
				if run == 0 {
					c.Before(nil, &r)
				} else {
					c.After(nil, &r)
				}
			}
		}
		same, changed, before := 0, map[[2]string]int{}, 0
		for id, was := range runs[0] {
			is, ok := runs[1][id]
			switch {
			case !ok:
				before++
			case is == was:
				same++
			default:
				changed[[2]string{was, is}]++
			}
		}
		got := c.Changes()
		gotChanged := map[[2]string]int{}
		both := 0
		for _, ch := range got.Changed {
			gotChanged[[2]string{ch.From, ch.To}] = ch.Count
			both += ch.Count
		}
		after := len(runs[1]) - same - both
		if got.Same != same || got.OnlyBefore.Len() != before || got.OnlyAfter.Len() != after || !cmp.Equal(changed, gotChanged) {
			t.Fatalf("got %s\nwant same %d, before %d, after %d, %v", plainChanges(got), same, before, after, changed)
		}
	})
}

func TestCompareRepeatedIDs(t *testing.T) {
	t.Parallel()
	var c Compare
	for i := range 3 {
		r := answer(i, "200 OK", "")
		r.Target = "twice"
		c.Before(nil, &r)
	}
	for i := range 2 {
		r := answer(i, "200 OK", "")
		r.Target = "twice"
		c.After(nil, &r)
	}
	if got := c.Changes(); got.Same != 2 || got.OnlyBefore.Len() != 1 || got.OnlyAfter.Len() != 0 {
		t.Errorf("%s", plainChanges(got))
	}
}

func BenchmarkCompare(b *testing.B) {
	const n = 100_000
	b.ReportAllocs()
	for b.Loop() {
		var c Compare
		for i := range n {
			c.Before(nil, new(answer(i, "200 OK", "")))
		}
		for i := range n {
			c.After(nil, new(answer(i, "200 OK", "")))
		}
	}
}
