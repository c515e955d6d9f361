package rollup

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

const (
	// diffContext is how many equal lines surround a difference.
	diffContext = 2
	// maxEdits bounds the search: texts that differ in more lines are shown as replaced as a
	// whole between their common start and end.
	maxEdits = 500
	// maxDiffLines and maxDiffLine bound what is shown.
	maxDiffLines, maxDiffLine = 200, 1000
)

// Diff returns the difference between two bodies, line by line, as a unified diff from a to b
// without file names: "@@ -1,2 +1,2 @@" and lines that begin with a space, - or +. It is ""
// when they are equal, and one line that gives the sizes when they are not text. At most
// 200 lines of up to 1,000 bytes are returned; the last line says how many are left out.
func Diff(a, b []byte) string {
	switch {
	case bytes.Equal(a, b):
		return ""
	case !utf8.Valid(a) || !utf8.Valid(b) || bytes.IndexByte(a, 0) >= 0 || bytes.IndexByte(b, 0) >= 0:
		return fmt.Sprintf("binary bodies differ: %d and %d bytes\n", len(a), len(b))
	}
	d := differ{a: lines(a), b: lines(b)}
	d.compare()
	return d.unified()
}

// lines splits b behind its newlines.
func lines(b []byte) [][]byte {
	var ls [][]byte
	for l := range bytes.Lines(b) {
		ls = append(ls, l)
	}
	return ls
}

// edit says that a[a0:a1] became b[b0:b1].
type edit struct{ a0, a1, b0, b1 int }

type differ struct {
	a, b  [][]byte
	edits []edit
	out   bytes.Buffer
	shown int
	left  int
}

// compare finds the edits between the common start and the common end.
func (d *differ) compare() {
	start := 0
	for start < min(len(d.a), len(d.b)) && bytes.Equal(d.a[start], d.b[start]) {
		start++
	}
	endA, endB := len(d.a), len(d.b)
	for endA > start && endB > start && bytes.Equal(d.a[endA-1], d.b[endB-1]) {
		endA--
		endB--
	}
	d.edits = myers(d.a[start:endA], d.b[start:endB])
	for i := range d.edits {
		e := &d.edits[i]
		e.a0, e.a1, e.b0, e.b1 = e.a0+start, e.a1+start, e.b0+start, e.b1+start
	}
}

// myers is the greedy algorithm of E. Myers, "An O(ND) Difference Algorithm and Its
// Variations" (1986): furthest[k] is how far into a one can come on diagonal k = x-y with the
// edits so far.
func myers(a, b [][]byte) []edit {
	n, m := len(a), len(b)
	limit := min(n+m, maxEdits)
	furthest := make([]int32, 2*limit+3)
	at := limit + 1
	var trace [][]int32 // the diagonals -d..d before step d
	for d := 0; d <= limit; d++ {
		trace = append(trace, append([]int32{}, furthest[at-d:at+d+1]...))
		for k := -d; k <= d; k += 2 {
			x := nextStep(furthest, at, k, d)
			for x < n && x-k < m && bytes.Equal(a[x], b[x-k]) {
				x++
			}
			furthest[at+k] = int32(x)
			if x >= n && x-k >= m {
				return backtrack(trace, n, m)
			}
		}
	}
	return []edit{{0, n, 0, m}}
}

// nextStep is the better of the two ways onto diagonal k with the d-th edit: down from k+1 or
// right from k-1.
func nextStep(furthest []int32, at, k, d int) int {
	if d == 0 {
		return 0
	}
	if k == -d || k != d && furthest[at+k-1] < furthest[at+k+1] {
		return int(furthest[at+k+1])
	}
	return int(furthest[at+k-1]) + 1
}

// backtrack walks from the end to the start and gathers the edits, joining neighbours.
func backtrack(trace [][]int32, x, y int) []edit {
	var edits []edit
	for d := len(trace) - 1; d > 0; d-- {
		before, k := trace[d], x-y // before[d+k] is diagonal k
		prev := k - 1
		if k == -d || k != d && before[d+k-1] < before[d+k+1] {
			prev = k + 1
		}
		px := int(before[d+prev])
		py := px - prev
		e := edit{px, px + 1, py, py}
		if prev == k+1 {
			e = edit{px, px, py, py + 1}
		}
		edits = prepend(edits, e)
		x, y = px, py
	}
	// They were gathered from the end.
	for i, k := 0, len(edits)-1; i < k; i, k = i+1, k-1 {
		edits[i], edits[k] = edits[k], edits[i]
	}
	return edits
}

// prepend adds e before the last edit found, as a part of it where they touch.
func prepend(edits []edit, e edit) []edit {
	if n := len(edits); n > 0 && edits[n-1].a0 == e.a1 && edits[n-1].b0 == e.b1 {
		edits[n-1].a0, edits[n-1].b0 = e.a0, e.b0
		return edits
	}
	return append(edits, e)
}

// unified writes the edits as hunks; those whose contexts touch share one.
func (d *differ) unified() string {
	for i := 0; i < len(d.edits); {
		k := i + 1
		for k < len(d.edits) && d.edits[k].a0-d.edits[k-1].a1 <= 2*diffContext {
			k++
		}
		d.hunk(d.edits[i:k])
		i = k
	}
	if d.left > 0 {
		fmt.Fprintf(&d.out, "… (%d more lines)\n", d.left)
	}
	return d.out.String()
}

func (d *differ) hunk(edits []edit) {
	first, last := edits[0], edits[len(edits)-1]
	before := min(diffContext, first.a0)
	after := min(diffContext, len(d.a)-last.a1)
	a0, b0 := first.a0-before, first.b0-before
	d.line(fmt.Sprintf("@@ -%s +%s @@", hunkRange(a0, last.a1+after), hunkRange(b0, last.b1+after)), nil)
	at := a0
	for _, e := range edits {
		d.all(" ", d.a[at:e.a0])
		d.all("-", d.a[e.a0:e.a1])
		d.all("+", d.b[e.b0:e.b1])
		at = e.a1
	}
	d.all(" ", d.a[at:at+after])
}

// hunkRange is the first line, from 1, and how many: an empty range names the line before it.
func hunkRange(from, to int) string {
	if from == to {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func (d *differ) all(mark string, ls [][]byte) {
	for _, l := range ls {
		d.line(mark, l)
	}
}

func (d *differ) line(mark string, l []byte) {
	if d.shown++; d.shown > maxDiffLines {
		d.left++
		return
	}
	text, ended := bytes.CutSuffix(l, []byte("\n"))
	d.out.WriteString(mark)
	if len(text) > maxDiffLine {
		d.out.Write(bytes.ToValidUTF8(text[:maxDiffLine], nil))
		d.out.WriteString("…")
	} else {
		d.out.Write(text)
	}
	d.out.WriteByte('\n')
	if !ended && l != nil {
		d.out.WriteString("\\ No newline at end of body\n")
	}
}
