package rollup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// plainGroup is a group that can be compared.
type plainGroup struct {
	By, Key string
	Count   int
	Members []int
	Sample  string
	Cut     bool
	Failed  bool
}

func plainGroups(t *Table) []plainGroup {
	var out []plainGroup
	for _, g := range t.Groups() {
		out = append(out, plainGroup{g.By, g.Key, g.Count, slices.Collect(g.Members.All()), string(g.Sample), g.Cut, g.Failed})
	}
	return out
}

func TestGroupsOfBodies(t *testing.T) {
	t.Parallel()
	table := Table{By: mustBy("body"), Masks: MaskTime}
	for i, r := range []muster.Result{
		answer(0, "200 OK", "up at 10:00:00"), answer(1, "200 OK", "down"), answer(2, "500 no", "up at 11:30:00"), answer(3, "200 OK", ""),
		answer(6, "200 OK", "up at 11:30:00"),
		muster.Result{Index: 4}.Fail(muster.FailTimeout, ""), muster.Result{Index: 5}.Fail(muster.FailTimeout, ""),
	} {
		if i == 1 || i == 2 {
			r.Outcome, r.Reason = muster.Unexpected, "status 500"
		}
		table.Add(nil, &r)
	}
	got := plainGroups(&table)
	for i := range got {
		if len(got[i].Key) >= 32 {
			got[i].Key = "hash" + got[i].Key[32:]
		}
	}
	slices.SortStableFunc(got, func(a, b plainGroup) int { return a.Members[0] - b.Members[0] })
	want := []plainGroup{
		{By: "body", Key: "hash", Count: 2, Members: []int{0, 6}, Sample: "up at <time>"},
		{By: "body", Key: "hash status 500", Count: 1, Members: []int{1}, Sample: "down", Failed: true},
		{By: "body", Key: "hash status 500", Count: 1, Members: []int{2}, Sample: "up at <time>", Failed: true},
		{By: "body", Key: "hash", Count: 1, Members: []int{3}},
		{By: "body", Key: "failed: timeout", Count: 2, Members: []int{4, 5}, Failed: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, g := range table.Groups() {
		if answered := len(g.Key) >= 32; (g.Sample != nil) != answered {
			t.Errorf("group %q: sample %v", g.Key, g.Sample)
		}
	}
}

// Any way of splitting a job into parts merges to the groups of the whole.
func TestMergeOfAnySplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		by := mustBy(rapid.SampledFrom([]string{"status", "body", "outcome", "failure", "v", "re:v(.)"}).Draw(t, "by"))
		masks := rapid.SampledFrom([]Masks{0, MaskAll}).Draw(t, "masks")
		whole := Table{By: by, Masks: masks}
		parts := make([]Table, rapid.IntRange(1, 5).Draw(t, "parts"))
		for i := range rapid.IntRange(0, 60).Draw(t, "n") {
			r := result(t, i*1500)
			whole.Add(nil, &r)
			part := &parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")]
			part.By, part.Masks = by, masks
			part.Add(nil, &r)
		}
		merged := Table{By: by, Masks: masks}
		for i := range parts {
			before := plainGroups(&parts[i])
			merged.Merge(&parts[i])
			if d := cmp.Diff(before, plainGroups(&parts[i])); d != "" {
				t.Fatal("merging changed a part: ", d)
			}
		}
		if d := cmp.Diff(plainGroups(&whole), plainGroups(&merged)); d != "" {
			t.Fatal(d)
		}
	})
}

// Samples are cut to the same length in whatever order they come.
func TestSamplesAreBounded(t *testing.T) {
	t.Parallel()
	by := mustBy("body")
	filler := strings.Repeat("x", maxSample)
	whole, parts := Table{By: by}, [2]Table{{By: by}, {By: by}}
	for i := range 1100 { // 1100 * 64 KiB is beyond 64 MiB
		r := answer(i, "200 OK", fmt.Sprintf("%06d", i)+filler)
		whole.Add(nil, &r)
		parts[i%2].Add(nil, &r)
	}
	sum := 0
	for _, g := range whole.Groups() {
		sum += len(g.Sample)
		if !g.Cut || len(g.Sample) != maxSample/2 {
			t.Fatalf("sample of %d bytes, cut: %v", len(g.Sample), g.Cut)
		}
	}
	if sum > maxSamples || sum != whole.sampled {
		t.Errorf("samples take %d bytes, counted %d", sum, whole.sampled)
	}
	var merged Table
	merged.By = by
	merged.Merge(&parts[0])
	merged.Merge(&parts[1])
	if !reflect.DeepEqual(plainGroups(&whole), plainGroups(&merged)) { // cmp.Diff takes long
		t.Error("merged differently")
	}
}

func TestOtherGroup(t *testing.T) {
	t.Parallel()
	table, second := Table{MaxGroups: 2}, Table{MaxGroups: 2}
	for i := range 10 {
		r := answer(i, fmt.Sprint(i%5), "")
		table.Add(nil, &r)
		r.Index += 10
		second.Add(nil, &r)
	}
	table.Merge(&second)
	got := plainGroups(&table)
	if len(got) != 3 || table.Len() != 3 || got[2].Key != Other || got[2].Count != 12 || len(got[2].Members) != 12 || got[0].Count != 4 {
		t.Errorf("%+v", got)
	}
}

// What is added stays the caller's.
func TestTableKeepsNothing(t *testing.T) {
	t.Parallel()
	table := Table{By: mustBy("body")}
	r := answer(0, "200 OK", "abc")
	table.Add(nil, &r)
	copy(r.Body, "xyz")
	if got := string(table.Groups()[0].Sample); got != "abc" {
		t.Errorf("sample %q", got)
	}
}

func BenchmarkTableAdd(b *testing.B) {
	for _, by := range []string{"status", "body", "json:$.v"} {
		b.Run(by, func(b *testing.B) {
			b.ReportAllocs()
			table := Table{By: mustBy(by)}
			r := answer(0, "200 OK", `{"v":"1.2.3","text":"`+strings.Repeat("x", 180)+`"}`)
			for b.Loop() {
				r.Index = (r.Index + 1) % 1_000_000
				table.Add(nil, &r)
			}
		})
	}
}

// TestStandardErrorIsPartOfTheBody groups commands by what they say when they give up, and those
// that end well by what they print.
func TestStandardErrorIsPartOfTheBody(t *testing.T) {
	t.Parallel()
	by, err := ParseBy("body")
	if err != nil {
		t.Fatal(err)
	}
	table := &Table{By: by}
	add := func(index int, outcome muster.Outcome, body, stderr string) {
		r := muster.Result{Index: index, Outcome: outcome, Body: []byte(body), Fields: []muster.Field{{Name: "stderr", Value: stderr}}}
		table.Add(nil, &r)
	}
	add(0, muster.OK, "same\n", "warning 1\n")
	add(1, muster.OK, "same\n", "warning 2\n")
	add(2, muster.Unexpected, "", "no such file\n")
	add(3, muster.Unexpected, "", "permission denied\n")
	add(4, muster.Unexpected, "half\n", "no such file\n")
	add(5, muster.OK, "", "only this\n")
	got := map[string]int{}
	for _, g := range table.Groups() {
		got[string(g.Sample)] = g.Count
	}
	want := map[string]int{"same\n": 2, "no such file\n": 1, "permission denied\n": 1, "half\nno such file\n": 1, "only this\n": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
