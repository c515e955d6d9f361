package sshconfig

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// maxDepth bounds Includes within Includes, as ssh does.
const maxDepth = 16

// Source says which files make a [Config].
type Source struct {
	// Files are read in order; those that do not exist are passed over. What an Include
	// names without a leading / or ~ is looked for beside the file that the chain started with.
	Files []string
	// Home is what ~ and %d stand for.
	Home string
	// User is the local user's name.
	User string
}

// Load reads the files. Its errors are of kind invalid and name file and line.
func Load(src Source) (*Config, error) {
	r := reader{source: src}
	for _, f := range src.Files {
		r.base, r.conditions = filepath.Dir(f), nil
		if err := r.file(f, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return r.config(), nil
}

// reader collects blocks.
type reader struct {
	source     Source
	base       string
	conditions []condition // of the block that an Include stands in
	blocks     []block
}

func (r *reader) file(path string, depth int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return muster.Errorf(muster.KindInvalid, "read the ssh configuration: %w", err)
	}
	return r.read(string(text), path, depth)
}

// read takes the lines of one file.
func (r *reader) read(text, path string, depth int) error {
	outer := r.conditions
	defer func() { r.conditions = outer }()
	r.begin(nil)
	n := 0
	for line := range strings.Lines(text) {
		n++
		keyword, args, err := splitLine(line)
		if err == nil && keyword != "" {
			err = r.line(outer, keyword, args, depth)
		}
		if err != nil {
			if _, ok := errors.AsType[*lineError](err); ok {
				return err
			}
			return &lineError{path, n, err}
		}
	}
	return nil
}

// line takes one line that is neither empty nor a comment.
func (r *reader) line(outer []condition, keyword string, args []string, depth int) error {
	if len(args) == 0 {
		return muster.Errorf(muster.KindInvalid, "%s has no value", keyword)
	}
	switch keyword {
	case "host":
		r.conditions = outer
		r.begin([]condition{{on: onOriginal, patterns: lower(args)}})
	case "match":
		cs, err := parseMatch(args)
		r.conditions = outer
		r.begin(cs)
		return err
	case "include":
		return r.include(args, depth)
	case "port":
		if n, err := strconv.ParseUint(args[0], 10, 16); err != nil || n == 0 {
			return muster.Errorf(muster.KindInvalid, "Port %q: want a number up to 65535", args[0])
		}
		fallthrough
	default:
		if read[keyword] {
			b := &r.blocks[len(r.blocks)-1]
			b.settings = append(b.settings, setting{keyword, args})
		}
	}
	return nil
}

// begin starts a block under further conditions.
func (r *reader) begin(cs []condition) {
	r.conditions = append(slices.Clip(r.conditions), cs...)
	r.blocks = append(r.blocks, block{conditions: r.conditions})
}

func (r *reader) include(args []string, depth int) error {
	if depth == maxDepth {
		return muster.Errorf(muster.KindInvalid, "Include within Include goes deeper than %d", maxDepth)
	}
	for _, a := range args {
		path := Tokens{Home: r.source.Home}.Expand(a)
		if !filepath.IsAbs(path) {
			path = filepath.Join(r.base, path)
		}
		files, err := filepath.Glob(path)
		if err != nil {
			return muster.Errorf(muster.KindInvalid, "Include %s: %w", a, err)
		}
		for _, f := range files {
			if err := r.file(f, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	r.begin(nil) // what follows stands in the including block again
	return nil
}

// config indexes the blocks.
func (r *reader) config() *Config {
	c := &Config{exact: map[string][]int{}, local: r.source.User}
	for _, b := range r.blocks {
		if len(b.settings) == 0 {
			continue
		}
		i := len(c.blocks)
		c.blocks = append(c.blocks, b)
		if !b.literal() {
			c.pattern = append(c.pattern, i)
			continue
		}
		names := slices.Clone(b.conditions[0].patterns)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			c.exact[name] = append(c.exact[name], i)
		}
	}
	return c
}

// literal reports whether the block is for listed names alone.
func (b *block) literal() bool {
	if len(b.conditions) != 1 || b.conditions[0].on != onOriginal || b.conditions[0].negate {
		return false
	}
	for _, p := range b.conditions[0].patterns {
		if strings.ContainsAny(p, "*?!") {
			return false
		}
	}
	return true
}

// lineError is an error of one line.
type lineError struct {
	path string
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("%s line %d: %v", e.path, e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// read lists the keywords that [Host] knows.
var read = map[string]bool{
	"hostname": true, "user": true, "port": true, "identityfile": true, "certificatefile": true,
	"identitiesonly": true, "identityagent": true, "proxyjump": true, "proxycommand": true,
	"userknownhostsfile": true, "globalknownhostsfile": true, "stricthostkeychecking": true, "hostkeyalias": true,
}

// parseMatch reads the criteria of a Match line.
func parseMatch(args []string) ([]condition, error) {
	var cs []condition
	for len(args) > 0 {
		name, negate := strings.CutPrefix(strings.ToLower(args[0]), "!")
		args = args[1:]
		if name == "all" {
			cs = append(cs, condition{patterns: []string{"*"}, negate: negate})
			continue
		}
		if name == "final" || name == "canonical" {
			cs = append(cs, condition{on: onNothing})
			continue
		}
		if len(args) == 0 {
			return nil, muster.Errorf(muster.KindInvalid, "Match %s has no value", name)
		}
		on, ok := map[string]subject{"host": onHost, "originalhost": onOriginal, "user": onUser, "localuser": onLocalUser}[name]
		if !ok {
			on = onNothing
		}
		cs = append(cs, condition{on: on, patterns: lower(strings.Split(args[0], ",")), negate: negate})
		args = args[1:]
	}
	return cs, nil
}

func lower(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = strings.ToLower(t)
	}
	return out
}

// splitLine cuts a line into its keyword, in lower case, and its arguments. Both are empty for a comment.
func splitLine(line string) (keyword string, args []string, err error) {
	line = strings.Trim(line, " \t\r\n\f")
	if line == "" || line[0] == '#' {
		return "", nil, nil
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), nil, nil
	}
	keyword = strings.ToLower(line[:end])
	rest := strings.TrimLeft(line[end:], " \t")
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
	if keyword == "proxycommand" { // a command line, quotes included
		if rest == "" {
			return keyword, nil, nil
		}
		return keyword, []string{rest}, nil
	}
	args, err = splitArgs(rest)
	return keyword, args, err
}

// splitArgs cuts at white space outside of quotes; an argument that starts with # ends the line.
func splitArgs(s string) ([]string, error) {
	var args []string
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == '#' {
			return args, nil
		}
		arg, rest, err := cutArg(s)
		if err != nil {
			return nil, err
		}
		args, s = append(args, arg), rest
	}
}

func cutArg(s string) (arg, rest string, err error) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\'' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '"' || ch == '\''):
			quote = ch
		case quote == 0 && (ch == ' ' || ch == '\t'):
			return b.String(), s[i:], nil
		default:
			b.WriteByte(ch)
		}
	}
	if quote != 0 {
		return "", "", muster.Errorf(muster.KindInvalid, "a quote %c is not closed", quote)
	}
	return b.String(), "", nil
}

// Tokens are the values of % tokens and of a leading ~ in a path.
type Tokens struct {
	Home, LocalUser string // ~ and %d; %u
	Host, User      string // %h, the name connected to; %r
	Original        string // %n, the name looked up; "" is Host
	Port            string // %p
}

// Expand returns a path with ~ and tokens replaced. Tokens that it does not know stay as they are.
func (t Tokens) Expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && t.Home != "" && (rest == "" || rest[0] == '/') {
		path = t.Home + rest
	}
	return t.expand(path)
}

func (t Tokens) expand(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.NewReplacer("%%", "%", "%d", t.Home, "%u", t.LocalUser, "%h", t.Host, "%r", t.User,
		"%n", cmp.Or(t.Original, t.Host), "%p", t.Port).Replace(s)
}
