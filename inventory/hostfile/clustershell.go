package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mainSection is the section of groups.conf that is no source.
const mainSection = "Main"

// defaultCacheTime is ClusterShell's.
const defaultCacheTime = time.Hour

// readClusterShell reads groups.conf files and what they point to, in
// ClusterShell's order: confdir, autodir, then their own sections.
func (g *Groups) readClusterShell() error {
	conf, dir, err := g.configs()
	if err != nil || dir == "" {
		return err
	}
	if err := g.readConfDirs(conf, dir); err != nil {
		return err
	}
	autodirs, err := conf.dirs(dir, "autodir")
	if err != nil {
		return err
	}
	for _, auto := range autodirs {
		files, err := filesIn(auto, ".yaml")
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := g.addAutoFile(file); err != nil {
				return err
			}
		}
	}
	if err := g.addSections(conf, dir); err != nil {
		return err
	}
	return g.chooseDefault(conf)
}

// configs reads the files that exist into one; dir is "" when there are none.
func (g *Groups) configs() (conf *config, dir string, err error) {
	conf = &config{}
	for _, file := range g.ClusterShell {
		err := conf.read(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if dir, err = filepath.Abs(filepath.Dir(file)); err != nil {
			return nil, "", fileError(file, err)
		}
	}
	return conf, dir, nil
}

func (g *Groups) readConfDirs(conf *config, dir string) error {
	name := "confdir"
	if conf.get(mainSection, "groupsdir") != nil {
		name = "groupsdir"
	}
	dirs, err := conf.dirs(dir, name)
	if err != nil {
		return err
	}
	for _, confdir := range dirs {
		files, err := filesIn(confdir, ".conf")
		if err != nil {
			return err
		}
		for _, file := range files {
			part := &config{}
			err := part.read(file)
			if errors.Is(err, os.ErrPermission) {
				continue
			}
			if err == nil {
				err = g.addSections(part, confdir)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addSections makes a source of every section; [a,b] makes two.
func (g *Groups) addSections(conf *config, dir string) error {
	for _, section := range conf.sections {
		for name := range strings.SplitSeq(section.name, ",") {
			if name == mainSection || name == defaultSection {
				continue
			}
			if err := g.addCommands(conf, section, name, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Groups) addCommands(conf *config, section *confSection, name, dir string) error {
	s := &commandSource{
		name: name, dir: dir, timeout: g.Timeout, cacheTime: defaultCacheTime,
		from: section.file + " [" + section.name + "]", commands: map[string]string{}, answers: map[string]*answer{},
	}
	for _, kind := range []string{commandMap, commandAll, commandList, commandReverse} {
		if o := conf.get(section.name, kind); o != nil && o.value != "" {
			s.commands[kind] = o.value
		}
	}
	if s.commands[commandMap] == "" {
		return confError(section.file, section.at, "group source %q has no command map", shorten(name))
	}
	if o := conf.get(section.name, "cache_time"); o != nil {
		seconds, err := strconv.ParseFloat(o.value, 64)
		if err != nil || !(seconds >= 0 && seconds < 1e9) {
			return confError(o.file, o.at, "cache_time %q is not a number of seconds", shorten(o.value))
		}
		s.cacheTime = time.Duration(seconds * float64(time.Second))
	}
	if !g.add(name, s) {
		return confError(section.file, section.at, "group source %q is defined twice: rename one", shorten(name))
	}
	return nil
}

// chooseDefault takes Main's default, else the first source.
func (g *Groups) chooseDefault(conf *config) error {
	if o := conf.get(mainSection, "default"); o != nil && o.value != "" {
		if _, ok := g.sources[o.value]; !ok {
			return confError(o.file, o.at, "the default group source %q is not defined: there is %s",
				shorten(o.value), listNames(slices.Sorted(slices.Values(g.names))))
		}
		g.standard = o.value
	}
	if g.standard == "" && len(g.names) > 0 {
		g.standard = g.names[0]
	}
	return nil
}

// dirs returns the folders that an option of Main lists, once each.
func (c *config) dirs(cfgdir, option string) ([]string, error) {
	o := c.get(mainSection, option)
	if o == nil {
		return nil, nil
	}
	words, unclosed := splitWords(strings.ReplaceAll(o.value, "%%", "%"))
	if unclosed >= 0 {
		return nil, confError(o.file, o.at, "%s: a quote is not closed", option)
	}
	var dirs []string
	for _, w := range words {
		dir := filepath.Clean(substitute(w.text, map[string]string{"CFGDIR": cfgdir}))
		if slices.Contains(dirs, dir) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return nil, confError(o.file, o.at, "%s %s is not a folder", option, dir)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// variable is what a command's $NAME or ${NAME} looks like; $$ is a dollar sign.
var variable = regexp.MustCompile(`\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// substitute replaces the variables it has and leaves the others to the shell.
func substitute(text string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(s string) string {
		if s == "$$" {
			return "$"
		}
		if v, ok := vars[strings.Trim(s, "${}")]; ok {
			return v
		}
		return s
	})
}

func confError(file string, at place, format string, args ...any) error {
	return (&input{name: file}).errorf(at, format, args...)
}
