package hostfile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// seed adds the files of testdata that match a pattern.
func seed(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds %s: %v", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// check reads text whole and byte by byte: no panic, the same rows and the same error.
func check(t *testing.T, r Reader, text []byte) []Row {
	t.Helper()
	r.Path, r.Stdin = "-", bytes.NewReader(text)
	rows, err := collect(t.Context(), r)
	r.Stdin = iotest.OneByteReader(bytes.NewReader(text))
	again, errAgain := collect(t.Context(), r)
	if !slices.Equal(shown(rows), shown(again)) || (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
		t.Errorf("whole: %v %v\nin bytes: %v %v", shown(rows), err, shown(again), errAgain)
	}
	for _, row := range rows {
		if row.Err == nil && row.Spec == "" && !r.Each {
			t.Errorf("a row without target or error: %s", show(row))
		}
	}
	return rows
}

func FuzzLines(f *testing.F) {
	seed(f, "plain.txt", "hosts.ini")
	f.Fuzz(func(t *testing.T, text []byte) {
		rows := check(t, Reader{Format: Lines}, text)
		lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		for _, row := range rows {
			if row.Err == nil && !strings.HasPrefix(lines[row.Line-1][row.Column-1:], row.Spec) {
				t.Errorf("row %s is not where it says", show(row))
			}
		}
		check(t, Reader{}, text)
	})
}

func FuzzCSV(f *testing.F) {
	seed(f, "*.csv")
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, Reader{Format: CSV}, text)
		check(t, Reader{Format: CSV, Each: true}, text)
	})
}

func FuzzINI(f *testing.F) {
	seed(f, "hosts.ini")
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Count(text, []byte(":")) > 200 || bytes.Count(text, []byte("[")) > 2+bytes.Count(text, []byte("\n")) {
			return // many large ranges: slow on purpose
		}
		check(t, Reader{Format: AnsibleINI}, text)
	})
}

func FuzzYAML(f *testing.F) {
	seed(f, "*.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, Reader{Format: YAML}, text)
		if !bytes.Contains(text, []byte("[")) {
			check(t, Reader{Format: AnsibleYAML}, text)
		}
	})
}

func FuzzSD(f *testing.F) {
	seed(f, "sd.*", "list.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, Reader{Format: PrometheusSD}, text)
		check(t, Reader{Format: JSON}, text)
	})
}

// FuzzJSON compares the reader of JSON with encoding/json.
func FuzzJSON(f *testing.F) {
	seed(f, "*.json")
	f.Add([]byte(`"\ud83d\ude00\ud800\ud800\udc00\u0000"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := parseJSON(newInput("x", bytes.NewReader(text)))
		if want := json.Valid(text) && utf8.Valid(text); (err == nil) != want {
			if strings.Contains(errString(err), "nested deeper") {
				return
			}
			t.Fatalf("valid %v, error %v", want, err)
		}
		if err != nil {
			return
		}
		var want, got any
		if err := unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := unmarshal(n.appendJSON(nil), &got); err != nil {
			t.Fatalf("%s: %v", n.appendJSON(nil), err)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Errorf("got %s, want %s", b, a)
		}
	})
}

func errString(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func unmarshal(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}
