package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	beginMark = "<!-- bench:begin -->"
	endMark   = "<!-- bench:end -->"
)

// writeReport replaces what is between the marks of a Markdown file, or makes
// the file.
func writeReport(path, report string) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		old = []byte("# Performance\n\nWritten by `make bench`.\n\n" + beginMark + "\n" + endMark + "\n")
	} else if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	text, err := splice(string(old), report)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of the report: %w", err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func splice(old, report string) (string, error) {
	head, rest, ok := strings.Cut(old, beginMark)
	_, tail, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return "", fmt.Errorf("the lines %s and %s, between which the figures go, are missing", beginMark, endMark)
	}
	return head + beginMark + "\n\n" + strings.TrimSpace(report) + "\n\n" + endMark + tail, nil
}
