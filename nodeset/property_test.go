package nodeset

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// names draws names that meet every rule of the language.
func names() *rapid.Generator[[]string] {
	word := rapid.SampledFrom([]string{
		"n", "web", "-", ".", ":", "://", "/", "http://", "[", "]", "[::1]", "[fe80::1%a,1]", "[10.0.0.1]", "@", ",", "!", "&", "^",
		"*", "?", "%", "%s", "%%", "\\", " ", "\n", "#", "é", "\xff", "::", "123456789012345678901", strings.Repeat("a1", 31),
	})
	number := rapid.StringMatching(`0{0,2}[0-9]{1,3}`)
	name := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(word, number, number), 1, 6).Draw(t, "parts")
		return strings.Join(parts, "")
	})
	plain := rapid.StringMatching(`(n|web|r1-)(0[0-9]|[0-9]|1[0-9])([ab][0-3])?`)
	return rapid.SliceOfN(rapid.OneOf(name, plain, plain), 0, 30)
}

func sorted(names []string) []string {
	c := slices.Clone(names)
	slices.Sort(c)
	return slices.Compact(c)
}

func TestFoldRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := names().Draw(t, "names")
		s := New(in...)
		folding := Folding{
			Autostep: rapid.IntRange(0, 5).Draw(t, "autostep"),
			Axes:     rapid.SliceOfN(rapid.IntRange(-3, 3), 0, 2).Draw(t, "axes"),
		}
		text, err := folding.Text(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		if got, want := sorted(slices.Collect(back.All())), sorted(in); !slices.Equal(got, want) {
			t.Fatalf("expand(%q) = %q, want %q", text, got, want)
		}
		if !back.Equal(s) || back.String() != s.String() {
			t.Fatalf("%q and %q differ", back, s)
		}
	})
}

func TestOrderedAccess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := names().Draw(t, "names")
		s := New(in...)
		all := slices.Collect(s.All())
		if s.Len() != len(all) || len(all) != len(sorted(in)) {
			t.Fatalf("Len = %d, All = %d, want %d", s.Len(), len(all), len(sorted(in)))
		}
		for i, name := range all {
			got, ok := s.At(i)
			at, found := s.Index(name)
			if !ok || got != name || !found || at != i {
				t.Fatalf("At(%d) = %q, Index(%q) = %d, %v", i, got, name, at, found)
			}
		}
		from, to := rapid.IntRange(-2, 35).Draw(t, "from"), rapid.IntRange(-2, 35).Draw(t, "to")
		part := all[min(max(from, 0), len(all)):]
		part = part[:min(max(to-max(from, 0), 0), len(part))]
		if got := s.Range(from, to); !slices.Equal(slices.Collect(got.All()), part) || !got.Equal(New(part...)) {
			t.Fatalf("Range(%d, %d) = %q, want %q", from, to, got, part)
		}
	})
}

func TestAlgebra(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := names().Draw(t, "a"), names().Draw(t, "b")
		b = append(b, a[:rapid.IntRange(0, len(a)).Draw(t, "shared")]...)
		s, u := New(a...), New(b...)
		model := func(keep func(inA, inB bool) bool) *Set {
			var g gatherer
			for _, name := range append(slices.Clone(a), b...) {
				if keep(slices.Contains(a, name), slices.Contains(b, name)) {
					g.addName(name)
				}
			}
			return g.set(&builder{})
		}
		for _, c := range []struct {
			op   string
			got  *Set
			want *Set
		}{
			{",", s.Union(u), model(func(x, y bool) bool { return x || y })},
			{"!", s.Difference(u), model(func(x, y bool) bool { return x && !y })},
			{"&", s.Intersection(u), model(func(x, y bool) bool { return x && y })},
			{"^", s.SymmetricDifference(u), model(func(x, y bool) bool { return x != y })},
		} {
			if !c.got.Equal(c.want) || c.got.String() != c.want.String() || c.got.Len() != c.want.Len() {
				t.Fatalf("%q %s %q = %q, want %q", s, c.op, u, c.got, c.want)
			}
			if s.Len() == 0 || c.op == "&" {
				continue // a row of & is no & with the union
			}
			text := strings.Join(append([]string{s.String()}, texts(u.Contiguous())...), " "+c.op+" ")
			if parsed, err := Parse(text); err != nil || !parsed.Equal(c.want) {
				t.Fatalf("Parse(%q) = %q, %v, want %q", text, parsed, err, c.want)
			}
		}
		if s.Includes(u) != (u.Difference(s).Len() == 0) || !s.Union(u).Includes(u) {
			t.Fatalf("Includes(%q, %q)", s, u)
		}
	})
}

func TestParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := New(names().Draw(t, "names")...)
		n := rapid.IntRange(0, 8).Draw(t, "n")
		whole, least, most, parts := &Set{}, s.Len(), 0, 0
		for part := range s.Split(n) {
			if whole.Intersection(part).Len() > 0 {
				t.Fatalf("parts of %q overlap", s)
			}
			whole = whole.Union(part)
			least, most, parts = min(least, part.Len()), max(most, part.Len()), parts+1
		}
		if !whole.Equal(s) || s.Len() > 0 && (most-least > 1 || parts != min(max(n, 1), s.Len())) {
			t.Fatalf("Split(%d) of %q: %d parts of %d to %d, %q", n, s, parts, least, most, whole)
		}
		whole = &Set{}
		for part := range s.Contiguous() {
			whole = whole.Union(part)
		}
		picked := s.Pick(n, 1)
		if !whole.Equal(s) || picked.Len() != min(n, s.Len()) || !s.Includes(picked) || !picked.Equal(s.Pick(n, 1)) {
			t.Fatalf("Contiguous = %q, Pick = %q of %q", whole, picked, s)
		}
	})
}
