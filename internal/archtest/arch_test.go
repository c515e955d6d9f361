package archtest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of one package.
type pkg struct {
	Dir, ImportPath, Doc string
	GoFiles, Imports     []string
}

func (p pkg) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Doc,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
}

func TestImportsGoDownwards(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if slices.Contains(aside, p.name()) {
			continue
		}
		own := floorOf(p.name())
		if own < 0 {
			t.Errorf("package %s stands on no floor: add it to the table", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			below := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
			if f := floorOf(below); f < 0 || f >= own {
				t.Errorf("%s imports %s, which does not stand below it", p.ImportPath, imp)
			}
			if strings.HasPrefix(below, "internal/") && !strings.HasPrefix(p.name(), "internal/") && !strings.HasPrefix(p.name(), "cmd/") {
				t.Errorf("public package %s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestOutsideModulesHaveOneOwner(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if slices.Contains(aside, p.name()) {
			continue
		}
		for _, imp := range p.Imports {
			if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") || strings.HasPrefix(imp, module) {
				continue
			}
			mod := ownedModule(imp)
			if mod == "" {
				t.Errorf("%s imports %s, which has no owner: add it to the table with its reason", p.ImportPath, imp)
			} else if !slices.Contains(strings.Fields(owners[mod].pkgs), p.name()) {
				t.Errorf("%s imports %s, which belongs to %q", p.ImportPath, imp, owners[mod].pkgs)
			}
		}
	}
}

func ownedModule(imp string) string {
	for mod := range owners {
		if imp == mod || strings.HasPrefix(imp, mod+"/") {
			return mod
		}
	}
	return ""
}

func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// opens are the calls that open a socket.
var opens = map[string][]string{
	"net":  {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "ListenPacket", "ListenUDP"},
	"unix": {"Socket", "Connect"}, "syscall": {"Socket", "Connect"},
	"tls": {"Dial", "DialWithDialer", "Dialer"},
}

func TestSocketsComeFromTheDialer(t *testing.T) {
	t.Parallel()
	eachFile(t, func(p pkg, path string, f *ast.File) {
		if slices.Contains(dialers, p.name()) {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && slices.Contains(opens[x.Name], sel.Sel.Name) {
				t.Errorf("%s: %s.%s opens a socket past package dial", path, x.Name, sel.Sel.Name)
			}
			return true
		})
	})
}

func TestFilesTellOneStory(t *testing.T) {
	t.Parallel()
	eachFile(t, func(_ pkg, path string, _ *ast.File) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, over %d: split it by idea", path, n, maxLines)
		}
	})
}

// eachFile parses every file that is part of a build on this platform.
func eachFile(t *testing.T, visit func(pkg, string, *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	for _, p := range list(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			visit(p, path, f)
		}
	}
}
