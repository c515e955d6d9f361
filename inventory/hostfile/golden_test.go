package hostfile

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenCases are the files of testdata and how they are read; the golden file
// of each is its name with .golden.
func goldenCases() map[string]Reader {
	return map[string]Reader{
		"plain.txt":         {Path: "plain.txt"},
		"columns.csv":       {Path: "columns.csv"},
		"names.tsv":         {Path: "names.tsv"},
		"semicolon.csv":     {Path: "semicolon.csv"},
		"list.json":         {Path: "list.json"},
		"list.yaml":         {Path: "list.yaml"},
		"rows.jsonl":        {Path: "rows.jsonl"},
		"requests.csv":      {Path: "requests.csv", Each: true},
		"requests.json":     {Path: "requests.json", Each: true},
		"hosts.ini":         {Path: "hosts.ini"},
		"hosts.yaml":        {Path: "hosts.yaml"},
		"ansible-list.json": {Path: "ansible-list.json"},
		"sd.json":           {Path: "sd.json"},
		"sd-strict":         {Path: "sd.json", Format: PrometheusSD},
		"sd.yaml":           {Path: "sd.yaml"},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, r := range goldenCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.Path = filepath.Join("testdata", r.Path)
			got := dump(t.Context(), r)
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("rows differ (-want +got):\n%s", d)
			}
		})
	}
}

// The rows do not depend on how the bytes arrive.
func TestChunks(t *testing.T) {
	t.Parallel()
	chunkings := map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader,
		"halves":   iotest.HalfReader,
		"data+err": iotest.DataErrReader,
		"random":   func(r io.Reader) io.Reader { return &randomReader{r: r, rand: rand.New(rand.NewPCG(1, 2))} },
	}
	for name, r := range goldenCases() {
		text, err := os.ReadFile(filepath.Join("testdata", r.Path))
		if err != nil {
			t.Fatal(err)
		}
		r.Format = formatFor(r)
		r.Path = "-"
		r.Stdin = bytes.NewReader(text)
		want := dump(t.Context(), r)
		for how, chunk := range chunkings {
			r.Stdin = chunk(bytes.NewReader(text))
			if d := cmp.Diff(want, dump(t.Context(), r)); d != "" {
				t.Errorf("%s, %s: rows differ (-whole +chunks):\n%s", name, how, d)
			}
		}
	}
}

func formatFor(r Reader) string {
	switch {
	case r.Format != "" || strings.HasPrefix(r.Path, "sd"):
		return PrometheusSD
	case r.Path == "hosts.yaml":
		return AnsibleYAML
	case r.Path == "ansible-list.json":
		return AnsibleJSON
	}
	return formatOfExtension(filepath.Ext(r.Path))
}

// An input that breaks off gives rows that it really has, then the error.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	for name, r := range goldenCases() {
		text, err := os.ReadFile(filepath.Join("testdata", r.Path))
		if err != nil {
			t.Fatal(err)
		}
		r.Format = formatFor(r)
		r.Path = "-"
		r.Stdin = bytes.NewReader(text)
		whole, _ := collect(t.Context(), r)
		for range 20 {
			cut := rand.N(len(text))
			r.Stdin = io.MultiReader(bytes.NewReader(text[:cut]), iotest.ErrReader(broken))
			rows, err := collect(t.Context(), r)
			if !errors.Is(err, broken) && !strings.Contains(fmt.Sprint(err), broken.Error()) {
				if _, ok := errors.AsType[*Error](err); !ok {
					t.Errorf("%s cut at %d: error %v", name, cut, err)
				}
			}
			if len(rows) > len(whole) || !slices.Equal(shown(whole[:len(rows)]), shown(rows)) {
				t.Errorf("%s cut at %d: rows that are not in the file: %v", name, cut, rows)
			}
		}
	}
}

// An error before the first byte is not lost to the look at the head.
func TestFirstRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	rows, err := collect(t.Context(), Reader{Path: "-", Stdin: &hiccup{strings.NewReader("web1\n"), broken}})
	if len(rows) != 0 || !errors.Is(err, broken) {
		t.Errorf("%v, %v", rows, err)
	}
}

// hiccup fails once.
type hiccup struct {
	io.Reader
	err error
}

func (h *hiccup) Read(p []byte) (int, error) {
	if err := h.err; err != nil {
		h.err = nil
		return 0, err
	}
	return h.Reader.Read(p)
}

type randomReader struct {
	r    io.Reader
	rand *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	return r.r.Read(p[:min(len(p), r.rand.IntN(7))])
}

func collect(ctx context.Context, r Reader) (rows []Row, err error) {
	for row, e := range r.Rows(ctx) {
		if e != nil {
			return rows, e
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// dump shows all rows, one a line, and the error.
func dump(ctx context.Context, r Reader) string {
	rows, err := collect(ctx, r)
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(show(row))
		b.WriteByte('\n')
	}
	if err != nil {
		fmt.Fprintf(&b, "! %v\n", err)
	}
	return strings.ReplaceAll(b.String(), "testdata"+string(filepath.Separator), "")
}

func show(row Row) string {
	s := fmt.Sprintf("%d:%d %q", row.Line, row.Column, row.Spec)
	if row.ID != "" {
		s += fmt.Sprintf(" id=%q", row.ID)
	}
	if len(row.Groups) > 0 {
		s += " groups=" + strings.Join(row.Groups, ",")
	}
	if row.Off {
		s += " off"
	}
	s += showMap(" labels", row.Labels) + showMap(" vars", row.Vars)
	if row.Err != nil {
		s += " err=" + row.Err.Error()
	}
	return s
}

func showMap(name string, m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s=%q", k, m[k]))
	}
	return name + "{" + strings.Join(parts, " ") + "}"
}

func shown(rows []Row) []string {
	all := make([]string, len(rows))
	for i, row := range rows {
		all[i] = show(row)
	}
	return all
}
