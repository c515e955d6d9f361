package nodeset

import (
	"slices"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, s := range rules {
		f.Add(s)
	}
	for _, s := range []string{
		"https://web[1-3]:8443/a,b?c=[1] n1", `\[::[1-3]\]:80`, "[::1]:[80-90]", "n[-5-3]x[-2-1]", "n[1-999999999999]",
		"a[0-99999]b[0-99999]!a5b[0-7/2]", `\@a\,b\ c\\`, "x123456789012345678901", "h[1-2]://a/1,2", "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a[1-2]1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parser{Limit: 1 << 14}.Parse(t.Context(), text)
		if err != nil {
			return
		}
		fold := s.String()
		back, err := Parse(fold)
		if err != nil {
			t.Fatalf("Parse(%q) = %q: %v", text, fold, err)
		}
		if !back.Equal(s) || back.Len() != s.Len() || back.String() != fold {
			t.Fatalf("Parse(%q) = %q, again = %q", text, fold, back)
		}
		for _, i := range []int{0, s.Len() / 2, s.Len() - 1} {
			name, ok := s.At(i)
			if at, found := s.Index(name); ok && (!found || at != i) {
				t.Fatalf("%q: At(%d) = %q, Index = %d, %v", fold, i, name, at, found)
			}
		}
		if s.Len() > 2000 {
			return
		}
		if !New(slices.Collect(s.All())...).Equal(s) {
			t.Fatalf("%q is not canonical", fold)
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add("n1", "n2", "n03")
	f.Add("http://h1/1", "[::1]:1", "a,b")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		in := sorted(slices.DeleteFunc([]string{a, b, c}, func(s string) bool { return s == "" }))
		s := New(in...)
		back, err := Parse(s.String())
		if err != nil {
			t.Fatalf("Parse(%q): %v", s, err)
		}
		if got := sorted(slices.Collect(back.All())); !slices.Equal(got, in) {
			t.Fatalf("expand(fold(%q)) = %q", in, got)
		}
	})
}
