package sink

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func TestLinesGolden(t *testing.T) {
	t.Parallel()
	var plain, raw, colored bytes.Buffer
	golden(t, "lines.txt", write(t, &Lines{W: &plain}, results(), &plain))
	golden(t, "lines-raw.txt", write(t, &Lines{W: &raw, Raw: true}, results(), &raw))
	always, err := NewColorizer("always", os.Getenv, false)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "lines-color.txt", write(t, &Lines{W: &colored, Colors: always}, results(), &colored))
}

// TestLinesOwnFields shows results whose probe brings fields of its own.
func TestLinesOwnFields(t *testing.T) {
	t.Parallel()
	stderr := func(s string) muster.Field { return muster.Field{Name: "stderr", Value: s} }
	load := muster.Field{Name: "perf.load1", Value: 0.5}
	for name, c := range map[string]struct {
		r    muster.Result
		want string
	}{
		"body first":     {muster.Result{Body: []byte("a\n"), Fields: []muster.Field{load}}, "w: a\n"},
		"no body":        {muster.Result{Fields: []muster.Field{load, stderr("")}}, "w: perf.load1=0.5\n"},
		"extracted":      {muster.Result{Body: []byte("a"), Fields: []muster.Field{load, {Name: "v", Value: "1"}}}, "w: v=1\n"},
		"standard error": {muster.Result{Body: []byte("a\n"), Fields: []muster.Field{stderr("warn\nagain\n")}}, "w: a\nw: warn\nw: again\n"},
		"silent":         {muster.Result{Status: "exit 0", Fields: []muster.Field{stderr("")}}, "w: exit 0\n"},
		"told once":      {muster.Result{Outcome: muster.Unexpected, Reason: "exit 2", Detail: "no such file", Fields: []muster.Field{stderr("ls: no such file\n")}}, "w: ls: no such file\nw: unexpected (exit 2)\n"},
		"told at all":    {muster.Result{Outcome: muster.Unexpected, Reason: "exit 2", Detail: "other", Fields: []muster.Field{stderr("x\n")}}, "w: x\nw: unexpected (exit 2): other\n"},
	} {
		var out bytes.Buffer
		c.r.Target = "w"
		if c.r.Outcome == 0 {
			c.r.Outcome = muster.OK
		}
		got := write(t, &Lines{W: &out, Own: []string{"perf", "stderr"}}, []muster.Result{c.r}, &out)
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCSVGolden(t *testing.T) {
	t.Parallel()
	var plain, chosen bytes.Buffer
	golden(t, "results.csv", write(t, &CSV{W: &plain, Fields: []string{"v", "n", "up", "none"}}, results(), &plain))
	columns := []string{
		"index", "target", "detail", "started", "resolve", "connect", "tls", "first_byte", "ms", "size", "truncated",
		"header:Via", "field:v", "n", "body",
	}
	golden(t, "columns.csv", write(t, &CSV{W: &chosen, Columns: columns}, results(), &chosen))
	for _, out := range []*bytes.Buffer{&plain, &chosen} {
		if _, err := csv.NewReader(out).ReadAll(); err != nil {
			t.Error(err)
		}
	}
}

func TestEmptyCSVHasItsHeader(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	want := strings.Join(DefaultColumns(), ",") + "\r\n"
	if got := string(write(t, &CSV{W: &out}, nil, &out)); got != want {
		t.Errorf("got %q", got)
	}
}

func TestCSVFormulas(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"=1+1": `"'=1+1"`, "+1": "+1", "-2.5": "-2.5", "@SUM(A1)": `"'@SUM(A1)"`, "-x": `"'-x"`, "\tx": "\"'\tx\"", "a=b": "a=b", "": "",
		`=a"b`: `"'=a""b"`,
	} {
		if got := string(appendCell(nil, in, false)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := string(appendCell(nil, "=1+1", true)); got != "=1+1" {
		t.Errorf("raw: %s", got)
	}
}

// Cells come back through another reader as they were.
func TestCSVReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.StringMatching(`[a"', \n;|=]{0,8}`), 2, 4).Draw(t, "cells")
		var line []byte
		for i, c := range cells {
			line = appendCell(appendComma(line, i), c, true)
		}
		got, err := csv.NewReader(bytes.NewReader(append(line, '\r', '\n'))).Read()
		if err != nil || !cmp.Equal(got, cells) {
			t.Fatalf("%q: got %q, want %q, %v", line, got, cells, err)
		}
	})
}

// recorder is a sink that remembers indexes.
type recorder struct {
	got    []int
	calls  int
	err    error
	closed bool
}

func (r *recorder) Write(_ context.Context, rs []muster.Result) error {
	r.calls++
	for i := range rs {
		r.got = append(r.got, rs[i].Index)
	}
	return r.err
}

func (r *recorder) Close() error {
	r.closed = true
	return r.err
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for display, want := range map[Display][]int{
		"": {0, 1, 2, 3, 4, 5, 6}, DisplayAll: {0, 1, 2, 3, 4, 5, 6}, DisplayOK: {0, 1, 3}, DisplayFailed: {2, 4, 5, 6}, DisplayNone: nil,
	} {
		var to recorder
		f := Filter{To: &to, Display: display}
		write(t, &f, results(), &bytes.Buffer{})
		if !cmp.Equal(to.got, want) || !to.closed || display == DisplayNone && to.calls > 0 {
			t.Errorf("%q: %v in %d calls", display, to.got, to.calls)
		}
		if _, err := ParseDisplay(string(display)); (err != nil) != (display == "") {
			t.Errorf("ParseDisplay(%q): %v", display, err)
		}
	}
}

func TestTee(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	a, b := &recorder{err: boom}, &recorder{}
	tee := Tee{a, b}
	if err := tee.Write(t.Context(), results()); !errors.Is(err, boom) {
		t.Errorf("Write: %v", err)
	}
	if err := tee.Close(); !errors.Is(err, boom) || !b.closed || len(b.got) != 7 {
		t.Errorf("Close: %v, %+v", err, b)
	}
}

func TestClosedPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	pr, pw := io.Pipe()
	pr.Close()
	for _, out := range []io.Writer{w, pw} {
		for _, s := range []muster.Sink{&JSONL{W: out}, &CSV{W: out}, &Lines{W: out}} {
			if err := s.Write(t.Context(), results()); !errors.Is(err, ErrClosedPipe) {
				t.Errorf("%T: %v", s, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%T reports it twice: %v", s, err)
			}
		}
		if err := (&Summary{}).Write(out, nil); !errors.Is(err, ErrClosedPipe) {
			t.Errorf("Summary: %v", err)
		}
	}
}

// failing fails from the first byte on, and counts.
type failing struct{ calls int }

func (f *failing) Write([]byte) (int, error) {
	f.calls++
	return 0, syscall.ENOSPC
}

func (f *failing) Name() string { return "results.out" }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := &failing{}
	s := &JSONL{W: w}
	for range 3 {
		err := s.Write(t.Context(), results())
		if !errors.Is(err, syscall.ENOSPC) || err.Error() != "write results.out: no space left on device" {
			t.Errorf("Write: %v", err)
		}
	}
	if err := s.Finish(&Summary{}, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Finish: %v", err)
	}
	if w.calls != 1 {
		t.Errorf("tried %d times", w.calls)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if err := (&Lines{W: full}).Write(t.Context(), results()); err == nil || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("Write: %v", err)
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\tb":                   "a\tb",
		"\x1b]0;t\x07":           `\x1b]0;t\x07`,
		"\u009b31m":              `\xc2\x9b31m`,
		"\xff\xfe":               `\xff\xfe`,
		"a\rb\nc\x00\x7f":        `a\x0db\x0ac\x00\x7f`,
		"\u202eevil\u2066":       `\u202eevil\u2066`,
		"größe 漢字 \u2028|\u00a0": "größe 漢字 \\u2028|\u00a0",
	} {
		if got := string(appendVisible(nil, in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestColorizer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		choice, env string
		terminal    bool
		want        bool
	}{
		{"auto", "", true, true},
		{"", "", false, false},
		{"always", "NO_COLOR=1 TERM=dumb", false, true},
		{"never", "CLICOLOR_FORCE=1", true, false},
		{"auto", "NO_COLOR=1 CLICOLOR_FORCE=1", true, false},
		{"auto", "CLICOLOR_FORCE=1 CLICOLOR=0 TERM=dumb", false, true},
		{"auto", "CLICOLOR_FORCE=0", false, false},
		{"auto", "CLICOLOR=0", true, false},
		{"auto", "CLICOLOR=1", false, false},
		{"auto", "TERM=dumb", true, false},
	} {
		env := func(name string) string {
			for kv := range strings.FieldsSeq(c.env) {
				if v, ok := strings.CutPrefix(kv, name+"="); ok {
					return v
				}
			}
			return ""
		}
		got, err := NewColorizer(c.choice, env, c.terminal)
		if err != nil || got.On() != c.want {
			t.Errorf("%+v: %v, %v", c, got.On(), err)
		}
	}
	if _, err := NewColorizer("yes", os.Getenv, true); muster.KindOf(err) != muster.KindInvalid {
		t.Errorf("yes: %v", err)
	}
}
