package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func genTarget(t *rapid.T, i int) muster.Target {
	hosts := rapid.SampledFrom([]string{"web1", "web2.example.org", "10.0.0.7", "fe80::1%eth0", "::1", ""})
	text := rapid.SampledFrom([]string{"", "a", "eu", "a longer text", "\x00"})
	m := func(name string) map[string]string {
		return rapid.MapOfN(text, text, 0, 3).Draw(t, name)
	}
	tg := muster.Target{
		Index: i, Host: hosts.Draw(t, "host"), Scheme: rapid.SampledFrom([]string{"", "http", "https", "ssh"}).Draw(t, "scheme"),
		Port: rapid.Uint16().Draw(t, "port"), Path: rapid.SampledFrom([]string{"", "/", "/health?x=1", "/healthz"}).Draw(t, "path"),
		Labels: m("labels"), Vars: m("vars"), Off: rapid.Bool().Draw(t, "off"),
	}
	tg.ID = fmt.Sprint(tg.Scheme, tg.Host, "#", rapid.IntRange(0, 1<<20).Draw(t, "id"))
	if rapid.Bool().Draw(t, "own id") {
		tg.ID = rapid.String().Draw(t, "free id")
	}
	if a, err := netip.ParseAddr(tg.Host); err == nil {
		tg.Addr = a
	}
	return tg
}

var sameTarget = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func TestChunkRoundTrip(t *testing.T) {
	t.Parallel()
	p := newPacker()
	e := chunkEncoder{p: p}
	rapid.Check(t, func(t *rapid.T) {
		want := make([]muster.Target, rapid.IntRange(1, 50).Draw(t, "rows"))
		defects := make([]error, len(want))
		for i := range want {
			want[i] = genTarget(t, i)
			if rapid.Bool().Draw(t, "bad") {
				defects[i] = muster.Errorf(muster.KindInvalid, "row %d: no host", i)
			}
			e.add(&want[i], defects[i])
		}
		c, err := p.openChunk(e.seal())
		if err != nil {
			t.Fatal(err)
		}
		k := c.cursor(0)
		for i := range want {
			got := muster.Target{Index: i}
			defect, err := k.next(&got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i], got, sameTarget...); diff != "" {
				t.Fatalf("target (-want +got):\n%s", diff)
			}
			if fmt.Sprint(defect) != fmt.Sprint(defects[i]) || muster.KindOf(defect) != muster.KindOf(defects[i]) {
				t.Fatalf("defect %v, want %v", defect, defects[i])
			}
		}
	})
}

func FuzzChunk(f *testing.F) {
	p := newPacker()
	e := chunkEncoder{p: p}
	for i := range chunkRestart + 2 {
		t := muster.Target{ID: fmt.Sprintf("web%d", i), Host: fmt.Sprintf("web%d", i), Port: 80, Path: "/x", Labels: map[string]string{"dc": "a"}}
		e.add(&t, nil)
	}
	e.add(&muster.Target{ID: "x"}, errors.New("bad row"))
	f.Add(must(p.unpack(e.seal())))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := p.openChunk(unpacked(raw))
		if err != nil {
			return
		}
		for row := 0; row < c.rows; row += chunkRestart {
			k := c.cursor(row)
			for range min(chunkRestart, c.rows-row) {
				var tg muster.Target
				if _, err := k.next(&tg); err != nil {
					break
				}
			}
		}
	})
}

func TestListComesBack(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	want := &sliceList{defects: map[int]error{}}
	shared := map[string]string{"dc": "a", "rack": "7"}
	for i := range 3*chunkTargets + 100 {
		tg := muster.Target{Index: i, ID: fmt.Sprintf("web%05d", i), Host: fmt.Sprintf("web%05d.example.org", i), Port: 8080, Labels: shared}
		if i%3 == 0 {
			tg.Vars = map[string]string{"row": fmt.Sprint(i)}
		}
		want.targets = append(want.targets, tg)
	}
	want.defects[1500] = muster.Errorf(muster.KindInvalid, "hosts.csv:1501: no host")
	if _, err := s.Begin(t.Context(), testJob(1), want); err != nil {
		t.Fatal(err)
	}
	got, err := s.List(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != want.Len() || got.Hash() != want.Hash() {
		t.Errorf("length %d, hash %x", got.Len(), got.Hash())
	}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(got.Len()) {
		tg, defect := got.At(i)
		if diff := cmp.Diff(want.targets[i], tg, sameTarget...); diff != "" {
			t.Fatalf("target %d (-want +got):\n%s", i, diff)
		}
		if (i == 1500) != (muster.KindOf(defect) == muster.KindInvalid) {
			t.Fatalf("target %d: %v", i, defect)
		}
	}
}

// A list longer than one transaction takes is whole or not there.
func TestLongListIsSharedAndDeletedWithItsLastJob(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	const n = (flushChunks + 2) * chunkTargets
	for i := range 2 {
		job := testJob(i)
		r := begin(t, s, job, n)
		for from := 0; from < n; from += segmentRows {
			var rs []muster.Result
			for k := from; k < min(n, from+segmentRows); k++ {
				rs = append(rs, muster.Result{Index: k, Outcome: muster.NotAttempted})
			}
			write(t, r, rs)
		}
		finish(t, r, job)
	}
	rows := func() string {
		return fmt.Sprint(count(t, s, "list"), count(t, s, "list_chunk"), count(t, s, "list_lookup") > 0)
	}
	if got, want := rows(), fmt.Sprint(1, flushChunks+2, true); got != want {
		t.Errorf("lists, chunks, lookup: %s, want %s", got, want)
	}
	if err := s.Delete(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	if got, want := rows(), fmt.Sprint(1, flushChunks+2, true); got != want {
		t.Errorf("after one delete: %s, want %s", got, want)
	}
	if err := s.Delete(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"job", "list", "list_chunk", "list_lookup", "segment", "locator", "body"} {
		if n := count(t, s, table); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
}

func count(t testing.TB, s *Store, table string) int {
	t.Helper()
	var n int
	if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRecipe(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Rebuild = rebuildRange
	s := openTest(t, cfg)
	list := rangeList{first: 5, n: 5000, recipe: true}
	if _, err := s.Begin(t.Context(), testJob(1), list); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "list_chunk"); n != 0 {
		t.Errorf("%d chunks", n)
	}
	got, err := s.List(t.Context(), "last")
	if err != nil || got != muster.List(list) {
		t.Errorf("list %v, %v", got, err)
	}
	found := 0
	for o, err := range s.History(t.Context(), "10.0.0.9") {
		if err != nil || o.Index != 4 {
			t.Errorf("history: target %d, %v", o.Index, err)
		}
		found++
	}
	if found != 1 {
		t.Errorf("in %d jobs", found)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := openTest(t, testConfig(t))
	for i := range 5 {
		if _, err := s.Begin(t.Context(), testJob(i), rangeList{first: i % 3 * 4000, n: 6000}); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{
		"10.0.0.1":  "3:1 0:1 ",                   // only in the first range
		"10.0.19.1": "4:865 3:4865 1:865 0:4865 ", // 4865 is in two
		"10.9.9.9":  "", "web": "",
	} {
		var got strings.Builder
		for o, err := range s.History(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(fmt.Sprintf("%c:%d ", o.Job.ID[12], o.Index))
		}
		if got.String() != want {
			t.Errorf("%s: %s, want %s", id, got.String(), want)
		}
	}
}
