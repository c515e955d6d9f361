package hostfile

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What encoding/csv writes comes back: each cell in its place, in order.
func TestCSVProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`[a-zé",;\n\t ]{0,6}`)
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		header := []string{"host"}
		for i := range columns {
			header = append(header, fmt.Sprintf("c%d", i))
		}
		var buf bytes.Buffer
		w := csv.NewWriter(&buf)
		_ = w.Write(header)
		n := rapid.IntRange(0, 20).Draw(t, "rows")
		want := make([]map[string]string, n)
		for i := range n {
			cells := []string{"h" + strconv.Itoa(i)}
			for c := range columns {
				text := cell.Draw(t, "cell")
				cells = append(cells, text)
				if text != "" {
					if want[i] == nil {
						want[i] = map[string]string{}
					}
					want[i][header[c+1]] = text
				}
			}
			_ = w.Write(cells)
		}
		w.Flush()
		rows, err := collect(t.Context(), Reader{Path: "-", Format: CSV, Stdin: &buf})
		if err != nil || len(rows) != n {
			t.Fatalf("%d rows of %d, %v", len(rows), n, err)
		}
		for i, row := range rows {
			if row.Err != nil || row.Spec != "h"+strconv.Itoa(i) || !maps.Equal(row.Vars, want[i]) || !maps.Equal(row.Labels, want[i]) {
				t.Fatalf("row %d: %s, want %v", i, show(row), want[i])
			}
		}
	})
}

// A range expands to what counting gives.
func TestRangeProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 200).Draw(t, "from")
		to := from + rapid.IntRange(0, 50).Draw(t, "count")
		step := rapid.IntRange(1, 9).Draw(t, "step")
		width := rapid.SampledFrom([]int{0, 3, 5}).Draw(t, "width")
		pattern := fmt.Sprintf("a[%0*d:%0*d:%d].b[x:z]:22", width, from, width, to, step)
		if width == 0 {
			pattern = fmt.Sprintf("a[%d:%d:%d].b[x:z]:22", from, to, step)
		}
		var want []string
		for i := from; i <= to; i += step {
			for _, c := range "xyz" {
				want = append(want, fmt.Sprintf("a%0*d.b%c", width, i, c))
			}
		}
		got, port, err := expandPattern(pattern)
		if err != nil || port != "22" || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("%s: got %v %s %v, want %v", pattern, got, port, err, want)
		}
	})
}

// A million rows cost no memory to speak of in any format that streams.
// The heap is the process's, so nothing runs beside it.
func TestMemory(t *testing.T) {
	const million = 1_000_000
	tests := []struct {
		n                       int
		format, head, row, tail string
	}{
		{million, Lines, "", "web%07d.example.com:8080 # r%d\n", ""},
		{million / 4, CSV, "host,rack\n", "web%07d.example.com,r%d\n", ""},
		{million / 4, JSONL, "", "{\"host\":\"web%07d\",\"rack\":\"r%d\"}\n", ""},
		{million / 4, JSON, "[\"first\"", ",{\"host\":\"web%07d\",\"rack\":\"r%d\"}\n", "]"},
		{million / 4, PrometheusSD, "[{\"targets\":[]}", ",{\"targets\":[\"web%07d\"],\"labels\":{\"rack\":\"r%d\"}}\n", "]"},
	}
	for _, tt := range tests {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak, rows := uint64(0), 0
		for row, err := range (Reader{Path: "-", Format: tt.format, Stdin: generate(tt.n, tt.head, tt.row, tt.tail)}).Rows(t.Context()) {
			if err != nil || row.Err != nil {
				t.Fatal(tt.format, err, row.Err)
			}
			if rows++; rows%100_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
		if rows < tt.n {
			t.Errorf("%s: %d rows", tt.format, rows)
		}
		if held := int64(peak) - int64(before.HeapAlloc); held > 4<<20 {
			t.Errorf("%s: holds %d KiB after %d rows", tt.format, held>>10, rows)
		}
	}
}

// generate writes n rows as they are read.
func generate(n int, head, row, tail string) io.Reader {
	return &generator{n: n, row: row, buf: []byte(head), tail: tail}
}

type generator struct {
	n, i      int
	row, tail string
	buf       []byte
}

func (g *generator) Read(p []byte) (int, error) {
	for len(g.buf) < len(p) && g.i < g.n {
		g.buf = fmt.Appendf(g.buf, g.row, g.i, g.i%40)
		g.i++
	}
	if g.i == g.n {
		g.buf, g.tail = append(g.buf, g.tail...), ""
	}
	if len(g.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, g.buf)
	g.buf = append(g.buf[:0], g.buf[n:]...)
	return n, nil
}

func BenchmarkRows(b *testing.B) {
	for format, row := range map[string]string{
		Lines: "web%07d.example.com:8080 # r%d\n",
		CSV:   "web%07d.example.com,r%d\n",
		JSONL: "{\"host\":\"web%07d\",\"rack\":\"r%d\"}\n",
	} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			head := ""
			if format == CSV {
				head = "host,rack\n"
			}
			text, err := io.ReadAll(generate(10_000, head, row, ""))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for _, err := range (Reader{Path: "-", Format: format, Stdin: bytes.NewReader(text)}).Rows(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
		})
	}
}
