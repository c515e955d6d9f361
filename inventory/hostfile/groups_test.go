package hostfile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/nodeset"
)

const shellConf = "testdata/clustershell/groups.conf"

func fold(t *testing.T, g *Groups, text string) (string, error) {
	t.Helper()
	set, err := nodeset.Parser{Resolver: g}.Parse(t.Context(), text)
	if err != nil {
		return "", err
	}
	return set.String(), nil
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// clusterShell prints what ClusterShell makes of each of its arguments.
const clusterShell = `import sys
from ClusterShell.NodeSet import NodeSet
for text in sys.argv[1:]: print(NodeSet(text))`

// ClusterShell itself resolves every group to the same nodes.
func TestClusterShellOracle(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // Debian's, which has Debian's clustershell
	if err := exec.CommandContext(t.Context(), python, "-c", "import ClusterShell").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("install clustershell: ", err)
		}
		t.Skip("install clustershell: ", err)
	}
	conf := absolute(t, shellConf)
	g := &Groups{ClusterShell: []string{conf}}
	texts := []string{
		"@adm", "@oss", "@io", "@compute", "@gpu", "@all", "@more", "@*", "@flat:*", "@flat:oss,@mds",
		"@roles:io", "@roles:compute", "@roles:gpu", "@roles:all", "@roles:*", "@racks:old", "@racks:new", "@racks:rack5",
		"@racks:rack[1-2]", "@racks:*", "@cpu:ivy", "@cpu:hsw", "@cpu:*", "@job:1", "@j:2", "@job:[1-2]", "@job:*", "@nolist:n",
		"@@racks", "@@job", "@@flat", "@racks:rack3!@gpu", "@racks:rack3&@cpu:hsw", "@io^@racks:rack2", "example1?5",
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-c", clusterShell}, texts...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CLUSTERSHELL_CFGDIR=" + filepath.Dir(conf)}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, text := range texts {
		if got, err := fold(t, g, text); err != nil || got != want[i] {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want[i])
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	g := &Groups{Dirs: []string{"testdata/groups.d", "testdata/none"}, ClusterShell: []string{"testdata/none/groups.conf", shellConf}}
	for text, want := range map[string]string{
		"@web":         "web[1-4]",
		"@front":       "lb[1-2],web[1-3]",
		"@io":          "own[1-2]", // muster's own wins
		"@flat:io":     "example[4-6]",
		"@muster:io":   "own[1-2]",
		"@fleet":       "example0,own[1-2],web[1-4]",
		"@compute":     "example[32-159]",
		"@*":           "example[0,4-6,32-159],lb[1-2],own[1-2],web[1-4]",
		"@muster:*":    "",
		"@nolist:blah": "blah-[1-2]",
	} {
		got, err := fold(t, g, text)
		if want != "" && (err != nil || got != want) {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	names, err := g.Groups(t.Context(), "")
	if want := "adm all compute fleet front gpu io mds more oss web"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("groups %v, %v; want %s", names, err, want)
	}
	sources, err := g.Sources()
	if want := "muster flat broken cpu j job nolist racks roles"; err != nil || strings.Join(sources, " ") != want {
		t.Errorf("sources %v, %v; want %s", sources, err, want)
	}
	of, err := g.GroupsOf(t.Context(), "", "example4")
	if err != nil || !slices.Equal(of, []string{"of-example4-in-flat"}) {
		t.Errorf("groups of example4: %v, %v", of, err)
	}
	if _, err := g.GroupsOf(t.Context(), "racks", "example4"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("groups of example4 in racks: %v", err)
	}
	for name, want := range map[string]string{"web": "testdata/groups.d/web.yaml:2:1", "oss": shellConf + " [flat]"} {
		if got := g.Origin("", name); got != want {
			t.Errorf("origin of %s: %s, want %s", name, got, want)
		}
	}
}

func TestGroupsErrors(t *testing.T) {
	t.Parallel()
	g := &Groups{Dirs: []string{"testdata/groups.d"}, ClusterShell: []string{shellConf}}
	tests := []struct {
		source, name string
		kind         muster.Kind
		want         string
	}{
		{"muster", "nope", muster.KindNotFound, `group "nope" is not in source muster: there is fleet, front, io, web`},
		{"", "nope", muster.KindNotFound, `group "nope" is not in source muster: there is fleet, front, io, web; group "nope" is not in source flat: there is adm, all`},
		{"racks", "nope", muster.KindNotFound, `group "nope" is not in source racks: there is new, old`},
		{"rocks", "x", muster.KindNotFound, `group source "rocks" is unknown: there is muster, flat, broken`},
		{"flat", "x;touch /tmp/owned", muster.KindInvalid, "characters that must not reach a shell"},
		{"flat", "$(id)", muster.KindInvalid, "characters that must not reach a shell"},
		{"flat", "-rf", muster.KindInvalid, "characters that must not reach a shell"},
		{"flat", "a/e", muster.KindInvalid, "characters that must not reach a shell"},
		{"broken", "x", muster.KindUnavailable, `group source broken: command "echo no such thing >&2; exit 3": exit status 3: no such thing`},
	}
	for _, tt := range tests {
		_, err := g.Group(t.Context(), tt.source, tt.name)
		if muster.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("@%s:%s: %v (%s), want %s", tt.source, tt.name, err, muster.KindOf(err), tt.want)
		}
	}
	none := &Groups{}
	if _, err := none.Group(t.Context(), "", "x"); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Errorf("no groups: %v", err)
	}
	if _, err := none.All(t.Context(), ""); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("all of nothing: %v", err)
	}
}

// write puts files into a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGroupFilesBroken(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, text, want string }{
		{"own mapping", "d/a.yaml", "x:\n  y: 1\n", `d/a.yaml:1:1: group "x" is an object: want an expression or a list`},
		{"own name", "d/a.yaml", "\"a b\": x\n", `d/a.yaml:1:1: group name "a b"`},
		{"own list", "d/a.yaml", "a:\n- b\n- [c]\n", `d/a.yaml:3:3: group "a" lists a list`},
		{"own syntax", "d/a.yaml", "a: [b\nc: d\n", `d/a.yaml:`},
		{"own base", "d/a.yaml", "- a\n", `d/a.yaml:1:1: the document is a list: want a mapping`},
		{"no map", "groups.conf", "[a]\nlist: x\n", `groups.conf:1:1: group source "a" has no command map`},
		{"no default", "groups.conf", "[Main]\ndefault: b\n[a]\nmap: x\n", `groups.conf:2:1: the default group source "b" is not defined: there is a`},
		{"cache", "groups.conf", "[a]\nmap: x\ncache_time: soon\n", `groups.conf:3:1: cache_time "soon"`},
		{"no section", "groups.conf", "map: x\n", `groups.conf:1:1: "map: x": want a section`},
		{"no value", "groups.conf", "[a]\nmap\n", `groups.conf:2:1: "map": want option: value`},
		{"section", "groups.conf", "[a\n", `groups.conf:1:1: section "[a": want [name]`},
		{"section twice", "groups.conf", "[a]\nmap: x\n[a]\n", `groups.conf:3:1: section [a] is there twice`},
		{"option twice", "groups.conf", "[a]\nmap: x\nMAP: y\n", `groups.conf:3:1: option map is there twice in [a]`},
		{"source twice", "groups.conf", "[a,a]\nmap: x\n", `groups.conf:1:1: group source "a" is defined twice`},
		{"quote", "groups.conf", "[Main]\nautodir: \"x\n", `groups.conf:2:1: autodir: a quote is not closed`},
		{"no folder", "groups.conf", "[Main]\nconfdir: $CFGDIR/groups.conf\n", `is not a folder`},
		{"auto base", "auto/a.yaml", "a: b\n", `auto/a.yaml:1:1: group source "a" is a text: want a mapping of groups`},
		{"part", "part/a.conf", "[x]\n", `part/a.conf:1:1: group source "x" has no command map`},
	}
	for _, tt := range tests {
		files := map[string]string{"groups.conf": "[Main]\nautodir: $CFGDIR/auto\nconfdir: ${CFGDIR}/part\n"}
		files[tt.file] = tt.text
		dir := write(t, files)
		g := &Groups{Dirs: []string{filepath.Join(dir, "d")}, ClusterShell: []string{filepath.Join(dir, "groups.conf")}}
		err := g.Check()
		if err == nil || !strings.Contains(err.Error(), tt.want) || muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	dir := write(t, map[string]string{"a.yaml": "x: 1\n", "b.yml": "x: 2\n"})
	if err := (&Groups{Dirs: []string{dir}}).Check(); err == nil || !strings.Contains(err.Error(), `b.yml:1:1: group "x" is there twice, first at `+dir+`/a.yaml:1:1`) {
		t.Errorf("twice: %v", err)
	}
}

// counted is a source whose command leaves a line in a file each time it runs.
func counted(t *testing.T, command string) (g *Groups, runs func() int) {
	t.Helper()
	dir := write(t, map[string]string{"groups.conf": "[a]\nmap: echo $GROUP >> runs; " + command + "\n[b]\nmap: echo $GROUP >> runs; echo n1\ncache_time: 0\n"})
	return &Groups{ClusterShell: []string{filepath.Join(dir, "groups.conf")}}, func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "runs"))
		return bytes.Count(text, []byte("\n"))
	}
}

// A command runs once for all who ask, only when asked, and never for Check.
func TestCommandsOnce(t *testing.T) {
	t.Parallel()
	g, runs := counted(t, "echo n1 n2")
	if err := g.Check(); err != nil || runs() != 0 {
		t.Fatalf("check: %v, %d runs", err, runs())
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if text, err := g.Group(t.Context(), "", "x"); text != "n1,n2" || err != nil {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
	wg.Wait()
	if runs() != 1 {
		t.Errorf("%d runs, want 1", runs())
	}
	for range 2 {
		if _, err := g.Group(t.Context(), "b", "x"); err != nil {
			t.Error(err)
		}
	}
	if runs() != 3 {
		t.Errorf("%d runs, want 3: cache_time is 0", runs())
	}
}

// A command that hangs dies with all its children, and is asked again.
func TestCommandTimeout(t *testing.T) {
	t.Parallel()
	g, runs := counted(t, "sleep 1000 > alive & wait")
	g.Timeout = time.Second
	alive := filepath.Join(filepath.Dir(g.ClusterShell[0]), "alive")
	if err := syscall.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := g.Group(t.Context(), "", "x")
			if muster.KindOf(err) != muster.KindUnavailable || !strings.Contains(err.Error(), "no answer within 1s") {
				t.Errorf("got %v", err)
			}
		})
		if _, err := os.ReadFile(alive); err != nil { // ends when the last child that could write is gone
			t.Error(err)
		}
		wg.Wait()
	}
	if runs() != 2 {
		t.Errorf("%d runs, want 2", runs())
	}
}

// Who gives up takes nobody along.
func TestCommandAbandoned(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"groups.conf": "[a]\nmap: [ -f second ] && echo n1 && exit; touch second; echo > started; sleep 1000\n"})
	g := &Groups{ClusterShell: []string{filepath.Join(dir, "groups.conf")}}
	started := filepath.Join(dir, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := g.Group(ctx, "", "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("the one who gave up: %v", err)
		}
	})
	if _, err := os.ReadFile(started); err != nil { // waits for the command of the first
		t.Fatal(err)
	}
	wg.Go(func() {
		if text, err := g.Group(t.Context(), "", "x"); text != "n1" || err != nil {
			t.Errorf("the one who waited: %q, %v", text, err)
		}
	})
	cancel()
	wg.Wait()
}

func TestClusterShellConfigs(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOME": "/h", "CLUSTERSHELL_CFGDIR": "/c"}
	got := ClusterShellConfigs(func(k string) string { return env[k] })
	want := []string{"/etc/clustershell/groups.conf", "/h/.local/etc/clustershell/groups.conf", "/h/.config/clustershell/groups.conf", "/c/groups.conf"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func FuzzGroupsConf(f *testing.F) {
	text, err := os.ReadFile(shellConf)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "x.conf")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c := &config{}
		if err := c.read(file); err != nil {
			return
		}
		for _, s := range c.sections {
			for name := range s.options {
				if c.get(s.name, name) == nil || name != strings.ToLower(name) {
					t.Errorf("option %q of [%s]", name, s.name)
				}
			}
		}
	})
}
