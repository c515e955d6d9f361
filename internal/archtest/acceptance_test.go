package archtest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proof matches what docs/acceptance.md calls a proof: `fanout.TestX`, `testdata/script/x.txtar`.
var proof = regexp.MustCompile("`((?:[a-z]+/)*[a-z]+)\\.((?:Test|Benchmark|Fuzz|Example)[A-Za-z0-9_]*)`|`(testdata/script/[a-z0-9_-]+\\.txtar)`")

// TestAcceptanceNamesExist keeps the table of promises honest: every row names a proof, and every
// proof that it names is there.
func TestAcceptanceNamesExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/acceptance.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		rows++
		found := proof.FindAllStringSubmatch(line, -1)
		if len(found) == 0 && !strings.Contains(line, "`make bench`") {
			t.Errorf("no proof in: %s", line)
		}
		for _, m := range found {
			checkProof(t, m)
		}
	}
	if rows < 20 {
		t.Errorf("%d promises: the table has not been read", rows)
	}
}

func checkProof(t *testing.T, m []string) {
	t.Helper()
	if script := m[3]; script != "" {
		if _, err := os.Stat(filepath.Join("../..", script)); err != nil {
			t.Errorf("%s does not exist", script)
		}
		return
	}
	dir := filepath.Join("../..", m[1])
	if m[1] == "muster" {
		dir = "../.."
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(src, []byte("func "+m[2]+"(")) {
			return
		}
	}
	t.Errorf("%s.%s does not exist", m[1], m[2])
}
