package actionschema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

const module = "github.com/musterhq/muster"

// source reads the comments and constants of packages of the module, each once.
type source struct {
	root     string
	packages map[string]*declarations
	err      error // the first problem
}

// declarations are what a package says of its types.
type declarations struct {
	types  map[string]string // comments of types, and of fields by "Type.Field"
	values map[string][]any  // string constants by the name of their type
}

func (s *source) of(t reflect.Type) *declarations {
	path := t.PkgPath()
	if d, ok := s.packages[path]; ok {
		return d
	}
	d := &declarations{types: map[string]string{}, values: map[string][]any{}}
	if s.packages == nil {
		s.packages = map[string]*declarations{}
	}
	s.packages[path] = d
	inside, ok := strings.CutPrefix(path, module)
	if !ok {
		return d
	}
	files, err := filepath.Glob(filepath.Join(s.root, filepath.FromSlash(inside), "*.go"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no Go files of package %s below %s", path, s.root)
	}
	for _, name := range files {
		if err == nil && !strings.HasSuffix(name, "_test.go") {
			err = d.read(name)
		}
	}
	if s.err == nil {
		s.err = err
	}
	return d
}

func (d *declarations) read(name string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("read comments: %w", err)
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.addType(spec, gen.Doc)
			case *ast.ValueSpec:
				if gen.Tok == token.CONST {
					d.addConstant(spec)
				}
			}
		}
	}
	return nil
}

func (d *declarations) addType(spec *ast.TypeSpec, doc *ast.CommentGroup) {
	if spec.Doc != nil {
		doc = spec.Doc
	}
	d.types[spec.Name.Name] = doc.Text()
	st, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		doc := f.Doc
		if doc == nil {
			doc = f.Comment
		}
		for _, name := range f.Names {
			d.types[spec.Name.Name+"."+name.Name] = doc.Text()
		}
	}
}

// addConstant notes constants such as: HTTP2Auto HTTP2 = "auto".
func (d *declarations) addConstant(spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, v := range spec.Values {
		lit, ok := v.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
			d.values[typ.Name] = append(d.values[typ.Name], text)
		}
	}
}

func (s *source) constants(t reflect.Type) []any {
	if t.PkgPath() == "" {
		return nil
	}
	return s.of(t).values[t.Name()]
}

func (s *source) typeDoc(t reflect.Type) string { return tidy(s.of(t).types[t.Name()]) }

// fieldDoc returns the comment of a field, which then calls it by its key.
func (s *source) fieldDoc(t reflect.Type, field, key string) string {
	doc := tidy(s.of(t).types[t.Name()+"."+field])
	if rest, ok := strings.CutPrefix(doc, field+" "); ok {
		doc = key + " " + rest
	}
	return doc
}

var link = regexp.MustCompile(`\[([A-Za-z0-9_.]+)\]`)

// tidy makes a comment one line of plain text per paragraph.
func tidy(doc string) string {
	paragraphs := strings.Split(strings.TrimSpace(doc), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(p), " ")
	}
	return link.ReplaceAllString(strings.Join(paragraphs, "\n\n"), "$1")
}
