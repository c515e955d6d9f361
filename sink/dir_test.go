package sink

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func TestDir(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	rs := append(results(),
		muster.Result{Index: 7, Target: "../../etc/passwd", Outcome: muster.OK, Body: []byte("up")},
		muster.Result{Index: 8, Target: "index.jsonl", Outcome: muster.OK, Body: []byte("not the index")},
		muster.Result{Index: 9, Target: "WEB1", Outcome: muster.OK, Body: []byte("big")},
	)
	write(t, &Dir{Path: path}, rs, &bytes.Buffer{})
	b, err := os.ReadFile(filepath.Join(path, IndexFile))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		r, err := DecodeResult([]byte(line))
		var extra struct {
			File string `json:"file"`
		}
		if err != nil || json.Unmarshal([]byte(line), &extra) != nil || r.Target != rs[i].Target || r.Body != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if want := rs[i].Outcome.Answered(); (extra.File != "") != want {
			t.Errorf("%s: file %q", r.Target, extra.File)
		}
		if extra.File == "" {
			continue
		}
		files[extra.File] = true
		if got, err := os.ReadFile(filepath.Join(path, extra.File)); err != nil || !bytes.Equal(got, rs[i].Body) {
			t.Errorf("%s: %q, %v", extra.File, got, err)
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(lines) != len(rs) || len(entries) != len(files)+1 {
		t.Errorf("%d lines, %d files, %d entries, %v", len(lines), len(files), len(entries), err)
	}
}

// A second run replaces files; a link in the folder leads nowhere.
func TestDirAgain(t *testing.T) {
	t.Parallel()
	path, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	first := []muster.Result{{Target: "web1", Outcome: muster.OK, Body: []byte("long body")}}
	write(t, &Dir{Path: path}, first, &bytes.Buffer{})
	first[0].Body = []byte("short")
	write(t, &Dir{Path: path}, first, &bytes.Buffer{})
	if b, err := os.ReadFile(filepath.Join(path, "web1")); err != nil || string(b) != "short" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.Symlink(outside, filepath.Join(path, "web2")); err != nil {
		t.Fatal(err)
	}
	d := &Dir{Path: path}
	first[0].Target = "web2"
	err := d.Write(t.Context(), first)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(path, "web2")) {
		t.Errorf("wrote through a link: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("reported twice: %v", err)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a file appeared outside the folder")
	}
}

func TestDirErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &Dir{Path: file}
	for range 2 {
		if err := d.Write(t.Context(), results()); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("Write: %v", err)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("reported twice: %v", err)
	}
	if err := (&Dir{Path: file}).Close(); err == nil {
		t.Error("Close found nothing wrong")
	}
	empty := &Dir{Path: filepath.Join(t.TempDir(), "new")}
	if err := empty.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(empty.Path, IndexFile)); err != nil {
		t.Error(err)
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"web1", "web1.example:8443", "10.0.0.1#7", "a@b"} {
		if got := FileName(id); id != "10.0.0.1#7" && got != id {
			t.Errorf("%q is named %q", id, got)
		}
	}
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-.aA/~]{0,6}`), rapid.StringMatching(`a{118,125}`)).Draw(t, "id")
		name := FileName(id)
		key := strings.ToLower(name)
		if other, ok := seen[key]; ok && other != id {
			t.Fatalf("%q and %q share %q", id, other, name)
		}
		seen[key] = id
		if len(name) > 255 || name == "" || strings.ContainsAny(name, "/\\\x00\n*?\"<>|") || name[0] == '-' || name[0] == '.' || name == IndexFile || !filepath.IsLocal(name) {
			t.Fatalf("%q is named %q", id, name)
		}
	})
}

func BenchmarkDir(b *testing.B) {
	d := &Dir{Path: b.TempDir()}
	rs := []muster.Result{results()[0]}
	for b.Loop() {
		rs[0].Index++
		rs[0].Target = "web" + string(appendNumber(nil, float64(rs[0].Index)))
		if err := d.Write(b.Context(), rs); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
