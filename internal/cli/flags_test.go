package cli_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A flag of one kind of action never hides another of the same name.
func TestFlagsHaveOneMeaning(t *testing.T) {
	t.Parallel()
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[\w-]+)`)
	kinds := regexp.MustCompile(`(?m)^  (\w+) +\S`)
	help := func(args ...string) string {
		out, err := exec.Command("muster", append(args, "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	_, list, ok := strings.Cut(help("run"), "Kinds of actions")
	if !ok {
		t.Fatal("muster run --help lists no kinds")
	}
	list, _, _ = strings.Cut(list, "\n\n")
	found := kinds.FindAllStringSubmatch(list, -1)
	if len(found) < 5 {
		t.Fatalf("kinds: %q", list)
	}
	for _, k := range found {
		_, text, _ := strings.Cut(help("run", k[1]), "\nTargets:\n")
		var names []string
		for _, m := range flag.FindAllStringSubmatch(text, -1) {
			if slices.Contains(names, m[1]) {
				t.Errorf("muster run %s: %s stands twice in the help", k[1], m[1])
			}
			names = append(names, m[1])
		}
		if len(names) < 20 {
			t.Errorf("muster run %s: %d flags", k[1], len(names))
		}
	}
}
