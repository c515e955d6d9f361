package nodeset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// driver answers one JSON line for each expression it reads: folded text, names
// in order, whether it is an error. It runs under the interpreter of the
// installed nodeset, whatever python3 is first in PATH.
const driver = `
import json, sys
from ClusterShell.NodeSet import NodeSet, RESOLVER_NOGROUP
for line in sys.stdin:
    step, text = json.loads(line)
    try:
        n = NodeSet(text, resolver=RESOLVER_NOGROUP, autostep=step or None)
        out = [str(n), list(n), [str(x) for x in n.contiguous()], [str(x) for x in n.split(3)], False]
    except Exception as e:
        out = ["", [], [], [], True]
    print(json.dumps(out))
`

type question struct {
	autostep int
	text     string
}

type answer struct {
	fold       string
	names      []string
	contiguous []string
	split      []string
	failed     bool
}

// ask puts all questions to one ClusterShell process.
func ask(t *testing.T, questions []question) []answer {
	t.Helper()
	tool, err := exec.LookPath("nodeset")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("clustershell is not installed")
		}
		t.Skip("clustershell is not installed")
	}
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, q := range questions {
		if err := enc.Encode([]any{q.autostep, q.text}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), interpreter(t, tool), "-c", driver)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run clustershell: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	answers := make([]answer, len(questions))
	for i := range answers {
		a := &answers[i]
		if err := dec.Decode(&[]any{&a.fold, &a.names, &a.contiguous, &a.split, &a.failed}); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

// interpreter reads the first line of the installed script.
func interpreter(t *testing.T, tool string) string {
	t.Helper()
	script, err := os.ReadFile(tool)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(script), "\n")
	fields := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(fields) == 0 {
		return "python3"
	}
	return fields[len(fields)-1]
}

// check compares folding, order, length, contiguous parts and splitting.
func check(t *testing.T, questions []question) {
	t.Helper()
	for i, want := range ask(t, questions) {
		q := questions[i]
		s, err := Parse(q.text)
		if want.failed != (err != nil) {
			t.Errorf("Parse(%q) = %v, clustershell fails: %v", q.text, err, want.failed)
		}
		if err != nil || want.failed {
			continue
		}
		fold, err := Folding{Autostep: q.autostep}.Text(s)
		if err != nil || fold != want.fold {
			t.Errorf("fold(%q, autostep %d) = %q, %v, want %q", q.text, q.autostep, fold, err, want.fold)
		}
		if got := slices.Collect(s.All()); !slices.Equal(got, want.names) || s.Len() != len(want.names) {
			t.Errorf("expand(%q) = %d %q, want %q", q.text, s.Len(), got, want.names)
		}
		if q.autostep > 0 {
			continue
		}
		if got := texts(s.Contiguous()); !slices.Equal(got, want.contiguous) {
			t.Errorf("contiguous(%q) = %q, want %q", q.text, got, want.contiguous)
		}
		if got := texts(s.Split(3)); !slices.Equal(got, reordered(want.split)) {
			t.Errorf("split(%q) = %q, want %q", q.text, got, want.split)
		}
	}
}

func texts(sets func(func(*Set) bool)) []string {
	out := []string{}
	for s := range sets {
		out = append(out, s.String())
	}
	return out
}

// reordered writes texts our way: the parts of an irregular set have another order.
func reordered(in []string) []string {
	out := []string{}
	for _, text := range in {
		s, err := Parse(text)
		if err != nil {
			return append(out, err.Error())
		}
		out = append(out, s.String())
	}
	return out
}

// Nothing random: each line is one rule.
var rules = []string{
	"n1[8-12]", "n0[8-12]", "n1[08-12]", "n[8-12]5", "n[08-12]5", "n1[0-2]5", "n[0-12]5", "n[1-2][3-4]",
	"n[1-2]3[4-5]", "a,", ",a", "a,,b", "a,!b", "!a", "", " ", "n[]", "n[1,]", "n[01-010]", "n[1-010]", "n[00-100]",
	"n[01-10,001-010,1-5]", "n[9-10],n[08-09]", "n[1-5/2]", "n[5/2]", "n[5/1]", "n[1-5/0]", "n[ 1 , 3 - 5 ]",
	"[1-3]", "1,2,3", "n]", "n[1-3]]", "n[1-3", "n[[1-3]", "n[1-3]!n2&n[1-2]", "n[5-1]", "n[1-3]x[01-02]y9",
	"n1-[1-3/2]", "n[1-3]-", "n%[1-2]", "100%,100%%", "%s,%d1", "n[99-101],n[099-101]", "x0,x00,x000,x1", "n0[0-9]",
	"n1[1,3,5-12]", "n1[1-3,08-12]", "n[1-10/3]5", "n1[1-10/3]", "n1[]", "n[a]", "n[1-9],n[5-15]", "n[1-10]!n[3-4]^n[4-20]&n[1-12/3]",
	"a[1-2]-b[3-4].c,a[5]-b[3-4].c", "web,web1,web01", "n[00-99],n[100-101]", "row#1,row#2", "user@h1,user@h2",
	"127.1.[0-3].[1-9]:8080", "n[1-3]\n", "n[1-3] , n4 ! n2", "n[1-3]!n[1-3]", "n1&m1", "é[1-2]ü", "n[-5]", "n[5-/2]", "n[1-2/]",
}

func TestOracleRules(t *testing.T) {
	t.Parallel()
	questions := make([]question, len(rules))
	for i, r := range rules {
		questions[i] = question{text: r}
	}
	check(t, questions)
}

func TestOracleRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	questions := make([]question, 0, 3000)
	for range 1500 {
		questions = append(questions, question{text: randomLine(r)}, question{text: randomGrid(r)})
		questions = append(questions, question{text: randomLine(r), autostep: 3 + r.IntN(3)})
	}
	check(t, questions)
}

// randomLine is an expression over one-dimensional patterns.
func randomLine(r *rand.Rand) string {
	var b strings.Builder
	patterns := []string{"n%s", "web%s.lan", "%s", "a-%sb", "plain"}[r.IntN(3):]
	for i := range 1 + r.IntN(8) {
		if i > 0 {
			b.WriteString([]string{",", ",", ",", "!", "&", "^"}[r.IntN(6)])
		}
		p := patterns[r.IntN(len(patterns))]
		if strings.Contains(p, "%s") {
			p = fmt.Sprintf(p, randomIndexes(r))
		}
		b.WriteString(p)
	}
	return b.String()
}

// randomIndexes is a number, a bracket, or a bracket with digits beside it.
func randomIndexes(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return fmt.Sprintf("%0*d", r.IntN(4), r.IntN(130))
	}
	parts := make([]string, 1+r.IntN(4))
	for i := range parts {
		parts[i] = randomRange(r)
	}
	text := "[" + strings.Join(parts, ",") + "]"
	switch r.IntN(8) {
	case 0:
		return fmt.Sprint(r.IntN(12)) + text
	case 1:
		return text + fmt.Sprint(r.IntN(12))
	}
	return text
}

func randomRange(r *rand.Rand) string {
	pad := max(0, r.IntN(6)-2)
	first := r.IntN(120)
	if r.IntN(3) == 0 {
		return fmt.Sprintf("%0*d", pad, first)
	}
	text := fmt.Sprintf("%0*d-%0*d", pad, first, pad, first+r.IntN(30))
	if r.IntN(4) == 0 {
		text += fmt.Sprintf("/%d", 1+r.IntN(5))
	}
	return text
}

// randomGrid is the names of a regular grid in random order.
func randomGrid(r *rand.Rand) string {
	axes := 2 + r.IntN(2)
	names := []string{""}
	for axis := range axes {
		s, err := Parse("[" + randomRange(r) + "]")
		if err != nil {
			return "bad["
		}
		values := slices.Collect(s.Range(0, 6).All())
		var longer []string
		for _, name := range names {
			for _, v := range values {
				longer = append(longer, name+string(rune('a'+axis))+v)
			}
		}
		names = longer
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return strings.Join(names, ",")
}
