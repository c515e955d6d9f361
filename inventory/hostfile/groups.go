package hostfile

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/nodeset"
)

// Groups answers what @name means, from muster's own files and from
// ClusterShell's. It is a [nodeset.Resolver]. The zero value knows no group; the
// fields must not change once a method was called. Methods are safe for concurrent use.
//
// Muster's own groups are the source "muster". The empty source is they and then
// ClusterShell's default source: where both have a name, muster's wins.
//
// Files are read at the first question and never again. Commands of groups.conf
// run only for what was asked, and what they answer is kept as long as their
// cache_time says, an hour by default. Names with characters that a shell would
// interpret never reach one.
type Groups struct {
	// Dirs are folders whose *.yaml and *.yml files map a group's name to an
	// expression or a list of them. A folder that does not exist is empty.
	Dirs []string
	// ClusterShell are groups.conf files, read like ClusterShell does: later ones
	// override earlier ones, and the folder of the last that exists is $CFGDIR. See
	// [ClusterShellConfigs].
	ClusterShell []string
	// Timeout bounds one command; 0 means 30 s.
	Timeout time.Duration

	load     sync.Once
	err      error
	own      *fileSource
	sources  map[string]source
	names    []string // of sources in the order of their definition
	standard string   // the name of ClusterShell's default source
}

var _ nodeset.Resolver = (*Groups)(nil)

// OwnSource is the name of the source that holds muster's own groups.
const OwnSource = "muster"

// source is one name space of groups.
type source interface {
	group(ctx context.Context, name string) (string, error)
	groups(ctx context.Context) ([]string, error)
	// all returns errors.ErrUnsupported where all nodes are those of all groups.
	all(ctx context.Context) (string, error)
	// groupsOf returns errors.ErrUnsupported where nobody keeps that.
	groupsOf(ctx context.Context, node string) ([]string, error)
	origin(name string) string
}

// ClusterShellConfigs returns where ClusterShell looks for groups.conf in an
// environment, as [os.Getenv] gives it.
func ClusterShellConfigs(getenv func(string) string) []string {
	files := []string{"/etc/clustershell/groups.conf"}
	home := getenv("HOME")
	if home != "" {
		files = append(files, filepath.Join(home, ".local/etc/clustershell/groups.conf"))
	}
	if config := getenv("XDG_CONFIG_HOME"); config != "" {
		files = append(files, filepath.Join(config, "clustershell/groups.conf"))
	} else if home != "" {
		files = append(files, filepath.Join(home, ".config/clustershell/groups.conf"))
	}
	if dir := getenv("CLUSTERSHELL_CFGDIR"); dir != "" {
		files = append(files, filepath.Join(dir, "groups.conf"))
	}
	return files
}

// Check reads the files and reports what is wrong with them; no command runs.
func (g *Groups) Check() error {
	g.load.Do(func() { g.err = g.read() })
	return g.err
}

func (g *Groups) read() error {
	g.own = &fileSource{name: OwnSource, entries: map[string]entry{}}
	g.sources = map[string]source{}
	for _, dir := range g.Dirs {
		if err := g.own.readDir(dir); err != nil {
			return err
		}
	}
	return g.readClusterShell()
}

// add makes a source of ClusterShell known.
func (g *Groups) add(name string, s source) bool {
	if _, ok := g.sources[name]; ok {
		return false
	}
	g.sources[name] = s
	g.names = append(g.names, name)
	return true
}

// Sources returns the names of the sources: muster's own if it has groups,
// ClusterShell's default, and the others sorted.
func (g *Groups) Sources() ([]string, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	var names []string
	if len(g.own.entries) > 0 {
		names = append(names, OwnSource)
	}
	if g.standard != "" {
		names = append(names, g.standard)
	}
	for _, name := range slices.Sorted(slices.Values(g.names)) {
		if name != g.standard {
			names = append(names, name)
		}
	}
	return names, nil
}

// source returns the sources that a name means, the one that wins first.
func (g *Groups) source(name string) ([]source, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if s, ok := g.sources[name]; ok && (name != OwnSource || len(g.own.entries) == 0) {
		return []source{s}, nil
	}
	switch {
	case name == OwnSource:
		return []source{g.own}, nil
	case name != "":
		known, err := g.Sources()
		return nil, errors.Join(err, muster.Errorf(muster.KindNotFound, "group source %q is unknown: there is %s", shorten(name), listNames(known)))
	case g.standard == "":
		return []source{g.own}, nil
	case len(g.own.entries) == 0:
		return []source{g.sources[g.standard]}, nil
	}
	return []source{g.own, g.sources[g.standard]}, nil
}

// Group returns the nodes of a group as an expression, which may name further
// groups. An unknown group is an error of kind not_found; where a source answers
// unknown names with nothing and cannot list its groups, so does Group.
func (g *Groups) Group(ctx context.Context, source, name string) (string, error) {
	sources, err := g.source(source)
	if err != nil {
		return "", err
	}
	var unknown error
	for _, s := range sources {
		text, err := s.group(ctx, name)
		switch {
		case muster.KindOf(err) != muster.KindNotFound:
			return text, err
		case unknown == nil:
			unknown = err
		default: // whoever mistyped one needs the names of both
			unknown = muster.Errorf(muster.KindNotFound, "%w; %w", unknown, err)
		}
	}
	return "", unknown
}

// Groups returns the sorted names of the groups of a source; a name may be folded, as in rack[1-9].
func (g *Groups) Groups(ctx context.Context, source string) ([]string, error) {
	sources, err := g.source(source)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range sources {
		names, err := s.groups(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// All returns all nodes of a source: what its group "all" or its command all says,
// else [errors.ErrUnsupported], which makes them the nodes of all groups.
func (g *Groups) All(ctx context.Context, source string) (string, error) {
	sources, err := g.source(source)
	if err != nil {
		return "", err
	}
	text, err := sources[0].all(ctx)
	if len(sources) == 1 || err == nil || !errors.Is(err, errors.ErrUnsupported) {
		return text, err
	}
	if text, err = sources[1].all(ctx); err != nil {
		return "", err
	}
	// References come last: the operators in text must not touch them.
	for _, name := range slices.Sorted(maps.Keys(g.own.entries)) {
		text += ",@" + name
	}
	return strings.TrimPrefix(text, ","), nil
}

// GroupsOf returns the groups of a node, where a source keeps that (the
// command reverse), else [errors.ErrUnsupported].
func (g *Groups) GroupsOf(ctx context.Context, source, node string) ([]string, error) {
	sources, err := g.source(source)
	if err != nil {
		return nil, err
	}
	return sources[len(sources)-1].groupsOf(ctx, node)
}

// Origin says where a group is defined, as file:line:column or file [section],
// for messages; "" when it is unknown.
func (g *Groups) Origin(source, name string) string {
	sources, err := g.source(source)
	if err != nil {
		return ""
	}
	for _, s := range sources {
		if at := s.origin(name); at != "" {
			return at
		}
	}
	return ""
}

func listNames(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return shorten(strings.Join(names, ", "))
}

// filesIn returns the files of a folder with one of these extensions, sorted;
// none when the folder does not exist.
func filesIn(dir string, extensions ...string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(dir, err)
	}
	var files []string
	for _, e := range list {
		if slices.Contains(extensions, filepath.Ext(e.Name())) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}
