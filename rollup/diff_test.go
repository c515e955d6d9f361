package rollup

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"", "", ""},
		{"x\n", "x\n", ""},
		{"a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		{"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		{"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"a\n", "a", "@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of body\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", "@@ -3,5 +3,5 @@\n 3\n 4\n-5\n+x\n 6\n 7\n"},
		{"a\nb\n1\n2\n3\n4\n5\nc\n", "b\n1\n2\n3\n4\n5\nc\nd\n", "@@ -1,3 +1,2 @@\n-a\n b\n 1\n@@ -7,2 +6,3 @@\n 5\n c\n+d\n"},
		{"a\x00", "b", "binary bodies differ: 2 and 1 bytes\n"},
		{"a", "\xff", "binary bodies differ: 1 and 1 bytes\n"},
	} {
		if got := Diff([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("Diff(%q, %q):\n%s\nwant\n%s", c.a, c.b, got, c.want)
		}
	}
}

// apply patches a with a diff that leaves nothing out.
func apply(t *rapid.T, a []byte, diff string) string {
	src, at := lines(a), 0
	var out []string
	for l := range strings.Lines(diff) {
		var a0, an, b0, bn int
		switch l[0] {
		case '@':
			if _, err := fmt.Sscanf(l, "@@ -%d,%d +%d,%d @@", &a0, &an, &b0, &bn); err != nil {
				t.Fatal(err)
			}
			for ; at < a0-min(an, 1); at++ {
				out = append(out, string(src[at]))
			}
		case '-', ' ':
			if strings.TrimSuffix(string(src[at]), "\n") != strings.TrimSuffix(l[1:], "\n") {
				t.Fatalf("line %d is %q, the diff says %q", at, src[at], l)
			}
			if l[0] == ' ' {
				out = append(out, string(src[at]))
			}
			at++
		case '+':
			out = append(out, l[1:])
		case '\\':
			out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], "\n")
		}
	}
	for ; at < len(src); at++ {
		out = append(out, string(src[at]))
	}
	return strings.Join(out, "")
}

func TestDiffPatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n"}), 0, 30)
		a := []byte(strings.Join(text.Draw(t, "a"), ""))
		b := []byte(strings.Join(text.Draw(t, "b"), "") + rapid.SampledFrom([]string{"", "end"}).Draw(t, "end"))
		if got := apply(t, a, Diff(a, b)); got != string(b) {
			t.Fatalf("patched to %q, want %q:\n%s", got, b, Diff(a, b))
		}
	})
}

func TestDiffIsShortest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n"}), 0, 12)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		got := Diff([]byte(strings.Join(a, "")), []byte(strings.Join(b, "")))
		edits := 0
		for l := range strings.Lines(got) {
			if l[0] == '-' || l[0] == '+' {
				edits++
			}
		}
		if want := len(a) + len(b) - 2*common(a, b); edits != want {
			t.Fatalf("%d edits, want %d:\n%s", edits, want, got)
		}
	})
}

// common is the length of the longest common subsequence.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			up := row[j+1]
			row[j+1] = max(up, row[j])
			if x == y {
				row[j+1] = diagonal + 1
			}
			diagonal = up
		}
	}
	return row[len(b)]
}

func TestDiffIsBounded(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&a, "left %d\n", i)
		fmt.Fprintf(&b, "right %d%s\n", i, strings.Repeat("é", i/20))
	}
	got := Diff(a.Bytes(), b.Bytes())
	if n := strings.Count(got, "\n"); n != maxDiffLines+1 || len(got) > maxDiffLines*(maxDiffLine+10) {
		t.Errorf("%d lines, %d bytes", n, len(got))
	}
	if !strings.HasSuffix(got, "… (39801 more lines)\n") {
		t.Errorf("ends with %q", got[len(got)-50:])
	}
}
