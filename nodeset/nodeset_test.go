package nodeset

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func mustParse(t *testing.T, text string) *Set {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		text string
		want []string
		fold string
	}{
		{"white space", " a1\ta2\n b ", []string{"a1", "a2", "b"}, "a[1-2],b"},
		{"white space around operators", "n[1-5] ! n2 , n9", []string{"n1", "n3", "n4", "n5", "n9"}, "n[1,3-5,9]"},
		{"address and port", "127.1.0.[1-2]:8080,127.1.1.[1-2]:8080", nil, "127.1.[0-1].[1-2]:8080"},
		{"address in brackets", "[::1]:[80-81],[::1]:82", []string{"[::1]:80", "[::1]:81", "[::1]:82"}, "[::1]:[80-82]"},
		{"IPv4 in brackets", "[10.0.0.1]:80", []string{"[10.0.0.1]:80"}, "[10.0.0.1]:80"},
		{"escaped address", `\[::[1-2]\]`, []string{"[::1]", "[::2]"}, "[::1],[::2]"},
		{
			"URL", "https://web[1-2]:8443/a,b?c=[1-2]&d=1 https://web3:8443/a,b?c=[1-2]&d=1", nil,
			"https://web[1-3]:8443/a,b?c=[1-2]&d=1",
		},
		{"digits in a path are text", "http://h1/1 http://h2/2", nil, "http://h1/1 http://h2/2"},
		{"a URL without a path", "http://h1:80,http://h2:80,n1", nil, "http://h[1-2]:80,n1"},
		{"row", "row#12 row#13", nil, "row#[12-13]"},
		{"user", "root@web1,root@web2", nil, "root@web[1-2]"},
		{"escapes", `a\,1 a\,2 \@x \[1\]`, []string{"@x", "[1]", "a,1", "a,2"}, `\@x,\[1\],a\,[1-2]`},
		{"escaped digit", `n\1 n2`, []string{"n1", "n2"}, "n[1-2]"},
		{"negative", "n[-2-1]", []string{"n0", "n1", "n-1", "n-2"}, "n[0-1],n-[1-2]"},
		{"two negatives", "a[-1]b[-1-0]", []string{"a-1b0", "a-1b-1"}, "a-1b0,a-1b-1"},
		{"long digits are text", "x1234567890123456789", []string{"x1234567890123456789"}, "x1234567890123456789"},
		{
			"many indexes", strings.Repeat("a1", 34) + "," + strings.Repeat("a1", 33) + "a2", nil,
			strings.Repeat("a1", 34) + "," + strings.Repeat("a1", 33) + "a2",
		},
		{"percent", "50%1 50%2 %s1 %%s1", nil, "%%s1,%s1,50%[1-2]"},
		{"rectangles that only merge", "r1c1d1,r1c1d2,r1c2d1,r2c1d1,r2c1d2,r2c2d2", nil, "r[1-2]c1d[1-2],r1c2d1,r2c2d2"},
		{"a few ports, many hosts", "w1:1,w2:1,w3:1,w2:2,w3:2,w4:2,w5:2", nil, "w[2-5]:2,w[1-3]:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mustParse(t, c.text)
			if c.want != nil && !slices.Equal(sorted(slices.Collect(s.All())), sorted(c.want)) {
				t.Errorf("expand(%q) = %q, want %q", c.text, slices.Collect(s.All()), c.want)
			}
			if s.String() != c.fold {
				t.Errorf("fold(%q) = %q, want %q", c.text, s, c.fold)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"web[1-":                            `node set "web[1-": column 4: bracket not closed`,
		"a,web]":                            `node set "a,web]": column 6: bracket "]" closes nothing`,
		"n[1,x]":                            `node set "n[1,x]": column 5: range "x": not a number of at most 18 digits`,
		"n[1][2]":                           `node set "n[1][2]": column 5: two ranges follow each other: put a separator before "["`,
		"a,":                                `node set "a,": column 3: nothing follows operator ','`,
		"a !! b":                            `node set "a !! b": column 4: operator '!' has nothing before it`,
		"n[3-1]":                            `node set "n[3-1]": column 3: range "3-1": the first index is greater than the last`,
		"n[01-100]":                         `node set "n[01-100]": column 3: range "01-100": bounds with leading zeros must have the same length`,
		strings.Repeat("a1", 32) + "a[1-2]": `node set "` + strings.Repeat("a1", 32) + `a[1-2]": column 66: more than 32 indexes in a name`,
		"n[5/2]":                            `node set "n[5/2]": column 3: range "5/2": a step needs a range, as in 1-9/2`,
		`a\`:                                `node set "a\\": column 2: nothing follows "\"`,
		"a,@b":                              `node set "a,@b": column 3: group @b: no source of node groups is configured`,
		"a,web*":                            `node set "a,web*": column 3: wildcard "web*": group @*: no source of node groups is configured`,
		"n[0-9e9]":                          `node set "n[0-9e9]": column 3: range "0-9e9": not a number of at most 18 digits`,
		"n0[8-12]":                          `node set "n0[8-12]": column 4: range "08-012": bounds with leading zeros must have the same length`,
		"n[1-9/2]0":                         `node set "n[1-9/2]0": column 3: range "1-9/2": digits cannot follow a range with a step`,
		"n1[-1]":                            `node set "n1[-1]": column 4: range "-1": negative indexes cannot have digits beside the brackets`,
		"n[-01-2]":                          `node set "n[-01-2]": column 3: range "-01-2": bounds with leading zeros must have the same length`,
		"n[0-9999999999999/2]": `node set "n[0-9999999999999/2]": column 3: ` +
			`too many steps: node set too large to be listed`,
	} {
		_, err := Parse(text)
		if err == nil || err.Error() != want {
			t.Errorf("Parse(%q):\n got %v\nwant %s", text, err, want)
		}
	}
	_, err := Parse("web[1-")
	if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Offset != 3 || e.Input != "web[1-" {
		t.Errorf("%#v", err)
	}
	_, err = Parse(strings.Repeat("a,", 1000) + "web[")
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("a long input is not shortened: %v", err)
	}
}

// Sets far too large to be listed are as cheap as small ones.
func TestHugeRanges(t *testing.T) {
	t.Parallel()
	s := mustParse(t, "n[1-999999999999],a[0-99999]b[0-99999]")
	if s.Len() != 999999999999+100000*100000 || s.String() != "a[0-99999]b[0-99999],n[1-999999999999]" {
		t.Errorf("Len = %d, %q", s.Len(), s)
	}
	if at, ok := s.At(10_000_000_000 + 4999); !ok || at != "n5000" {
		t.Errorf("At = %q, %v", at, ok)
	}
	less := s.Difference(mustParse(t, "n[5-999999999990],a[0-99998]b[0-99999]"))
	if less.String() != "a99999b[0-99999],n[1-4,999999999991-999999999999]" {
		t.Errorf("difference = %q", less)
	}
	if got := s.Range(9_999_999_999, 10_000_000_002).String(); got != "a99999b99999,n[1-2]" {
		t.Errorf("Range = %q", got)
	}
	if got := s.Pick(3, 1); got.Len() != 3 || !s.Includes(got) {
		t.Errorf("Pick = %q", got)
	}
	for part := range s.Split(1_000_000_000) {
		if part.Len() != 1010 {
			t.Errorf("Split = %d", part.Len())
		}
		break
	}
	over := mustParse(t, "a[0-999999999999]b[0-999999999999]c[0-9],z")
	if over.Len() != math.MaxInt || !over.Contains("a5b6c7") || over.Contains("a5b6c17") {
		t.Errorf("Len = %d", over.Len())
	}
	if at, ok := over.At(math.MaxInt - 1); !ok || !over.Contains(at) {
		t.Errorf("At = %q, %v", at, ok)
	}
	if !over.Equal(mustParse(t, over.String())) {
		t.Errorf("%q", over)
	}
	for name := range over.All() {
		if name != "a0b0c0" {
			t.Errorf("All begins with %q", name)
		}
		break
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	var overlapping strings.Builder // their union has about as many pieces as corners
	for range 40 {
		for axis := range 8 {
			fmt.Fprintf(&overlapping, "%c[%d-%d,%d-%d]", 'a'+axis, r.IntN(50), 50+r.IntN(50), 101+r.IntN(50), 151+r.IntN(50))
		}
		overlapping.WriteByte(' ')
	}
	for _, text := range []string{
		"n[0-99999999/2]", "n[1-9999999]5", `\[[1-99999999]`, overlapping.String(),
	} {
		if _, err := Parse(text); !errors.Is(err, ErrTooLarge) {
			t.Errorf("Parse(%.40q) = %v, want ErrTooLarge", text, err)
		}
	}
	s := mustParse(t, "n[0-99999999]a[1-2]")
	if _, err := s.Slice("0-99999999/2"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Slice = %v", err)
	}
	if _, err := (Folding{Axes: []int{2}}).Text(s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Text = %v", err)
	}
}

func TestSlice(t *testing.T) {
	t.Parallel()
	s := mustParse(t, "n[1-10]")
	for text, want := range map[string]string{
		"0-2/2,5": "n[1,3,6]", "1-5,7": "n[2-6,8]", "8-100": "n[9-10]", "10": "", "9,9,0": "n[1,10]",
	} {
		if got, err := s.Slice(text); err != nil || got.String() != want {
			t.Errorf("Slice(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1,", "3-1"} {
		if got, err := s.Slice(text); err == nil {
			t.Errorf("Slice(%q) = %q", text, got)
		}
	}
}

func TestFoldingAxes(t *testing.T) {
	t.Parallel()
	s := mustParse(t, "n[1-2]x[1-3]")
	for _, c := range []struct {
		axes []int
		want string
	}{
		{nil, "n[1-2]x[1-3]"},
		{[]int{1}, "n[1-2]x1,n[1-2]x2,n[1-2]x3"},
		{[]int{-1}, "n1x[1-3],n2x[1-3]"},
		{[]int{1, 2}, "n[1-2]x[1-3]"},
		{[]int{7}, "n1x1,n1x2,n1x3,n2x1,n2x2,n2x3"},
	} {
		if got, err := (Folding{Axes: c.axes}).Text(s); err != nil || got != c.want {
			t.Errorf("axes %v = %q, %v, want %q", c.axes, got, err, c.want)
		}
	}
}

func TestZeroSet(t *testing.T) {
	t.Parallel()
	var s Set
	if _, ok := s.At(0); ok || s.Len() != 0 || s.String() != "" || s.Contains("a") || s.Contains("") {
		t.Error("the zero set is not empty")
	}
	if got := s.Union(New("a1", "")); got.String() != "a1" || s.Pick(1, 0).Len() != 0 || !s.Equal(New()) {
		t.Errorf("union = %q", got)
	}
	for part := range s.Split(3) {
		t.Errorf("Split yields %q", part)
	}
}

var errSource = iotest.ErrTimeout
