package hostfile

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// fileSource is a source whose groups are written in files.
type fileSource struct {
	name    string
	entries map[string]entry
}

// entry is one group: its expression and where it stands.
type entry struct{ text, at string }

// illegalInGroup are the characters that a group's name cannot have, for the
// language of node sets gives them a meaning.
const illegalInGroup = "@,!&^*: \t\r\n"

// loadYAML reads the mapping of a YAML file.
func loadYAML(file string) (*input, *node, error) {
	in, err := Reader{Path: file}.open(context.Background())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = in.close() }() // read only: nothing is lost
	doc, err := parseYAML(in)
	if err == nil && doc.kind != kindObject && doc.kind != kindNull {
		err = in.errorf(doc.at, "the document is %s: want a mapping", doc.kind)
	}
	return in, doc, err
}

// readDir adds the groups of muster's own files in dir.
func (s *fileSource) readDir(dir string) error {
	files, err := filesIn(dir, ".yaml", ".yml")
	if err != nil {
		return err
	}
	for _, file := range files {
		in, doc, err := loadYAML(file)
		if err != nil {
			return err
		}
		for _, f := range doc.fields {
			if i := strings.IndexAny(f.name, illegalInGroup); i >= 0 || f.name == "" {
				return in.errorf(f.at, "group name %q: a name is not empty and has none of @ , ! & ^ * : or blanks", shorten(f.name))
			}
			if err := s.add(in, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds one group.
func (s *fileSource) add(in *input, f field) error {
	at := (&Error{Input: in.name, Line: f.at.line, Column: f.at.col}).Error()
	if first, ok := s.entries[f.name]; ok {
		return in.errorf(f.at, "group %q is there twice, first at %s: rename one", shorten(f.name), first.at)
	}
	text, err := expression(in, f)
	s.entries[f.name] = entry{text, strings.TrimSuffix(at, ": ")}
	return err
}

// expression returns the expression of a group: a text, or the texts of a list.
func expression(in *input, f field) (string, error) {
	switch {
	case f.value.scalar() || f.value.kind == kindNull:
		return f.value.string(), nil
	case f.value.kind != kindList:
		return "", in.errorf(f.at, "group %q is %s: want an expression or a list of them", shorten(f.name), f.value.kind)
	}
	var texts []string
	for _, item := range f.value.list {
		if !item.scalar() {
			return "", in.errorf(item.at, "group %q lists %s: want expressions", shorten(f.name), item.kind)
		}
		texts = append(texts, item.text)
	}
	return strings.Join(texts, ","), nil
}

func (s *fileSource) group(_ context.Context, name string) (string, error) {
	e, ok := s.entries[name]
	if !ok {
		return "", unknownGroup(s.name, name, slices.Sorted(maps.Keys(s.entries)))
	}
	return e.text, nil
}

func unknownGroup(source, name string, known []string) error {
	return muster.Errorf(muster.KindNotFound, "group %q is not in source %s: there is %s", shorten(name), source, listNames(known))
}

func (s *fileSource) groups(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.entries)), nil
}

func (s *fileSource) all(context.Context) (string, error) {
	if e, ok := s.entries["all"]; ok {
		return e.text, nil
	}
	return "", errors.ErrUnsupported
}

func (s *fileSource) groupsOf(context.Context, string) ([]string, error) {
	return nil, errors.ErrUnsupported
}

func (s *fileSource) origin(name string) string { return s.entries[name].at }

// addAutoFile adds the sources of one of ClusterShell's YAML files:
// source: {group: expression or list}. A file that may not be read is left out.
func (g *Groups) addAutoFile(file string) error {
	in, doc, err := loadYAML(file)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	if doc.kind == kindNull {
		return in.errorf(doc.at, "the file is empty: want source: {group: nodes}")
	}
	for _, f := range doc.fields {
		if f.value.kind != kindObject {
			return in.errorf(f.at, "group source %q is %s: want a mapping of groups", shorten(f.name), f.value.kind)
		}
		s := &fileSource{name: f.name, entries: map[string]entry{}}
		for _, group := range f.value.fields {
			if err := s.add(in, group); err != nil {
				return err
			}
		}
		if !g.add(f.name, s) {
			return in.errorf(f.at, "group source %q is defined twice: rename one", shorten(f.name))
		}
	}
	return nil
}
