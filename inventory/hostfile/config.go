package hostfile

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// config is one or several files of sections with options, the form that
// Python's configparser reads and ClusterShell uses. The zero value is empty.
type config struct {
	sections []*confSection
}

type confSection struct {
	name, file string
	at         place
	options    map[string]*confOption
}

type confOption struct {
	value, file string
	at          place
}

// defaultSection gives options to all others.
const defaultSection = "DEFAULT"

// get returns an option of a section, nil when there is none.
func (c *config) get(section, option string) *confOption {
	s := c.section(section)
	if s == nil {
		return nil
	}
	if o := s.options[option]; o != nil {
		return o
	}
	if all := c.section(defaultSection); all != nil && section != defaultSection {
		return all.options[option]
	}
	return nil
}

func (c *config) section(name string) *confSection {
	for _, s := range c.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// read adds a file; its options replace those of files before it.
func (c *config) read(file string) error {
	rc, _, err := openFile(file)
	if err != nil {
		return err
	}
	in := newInput(file, rc)
	text, err := in.load(MaxLine)
	_ = rc.Close() // read only: nothing is lost
	if err != nil {
		return err
	}
	p := &confParser{config: c, in: in, seen: map[string]bool{}}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) {
		number++
		if err := p.line(string(trimEnd(line)), number); err != nil {
			return err
		}
	}
	return nil
}

type confParser struct {
	config  *config
	in      *input
	current *confSection
	option  *confOption
	indent  int // of the option's own line
	seen    map[string]bool
}

func (p *confParser) line(line string, number int) error {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' || text[0] == ';' {
		return nil
	}
	indent := strings.Index(line, text)
	at := place{number, indent + 1}
	switch {
	case !utf8.ValidString(line):
		return p.in.errorf(at, "the line is not UTF-8 text")
	case p.option != nil && indent > p.indent:
		p.option.value = strings.TrimPrefix(p.option.value+"\n"+text, "\n")
		return nil
	case text[0] == '[':
		return p.header(text, at)
	}
	return p.assign(text, at, indent)
}

func (p *confParser) header(text string, at place) error {
	name, _, ok := strings.Cut(text[1:], "]")
	if !ok || name == "" {
		return p.in.errorf(at, "section %q: want [name]", shorten(text))
	}
	if p.seen["["+name] {
		return p.in.errorf(at, "section [%s] is there twice: join them", shorten(name))
	}
	p.seen["["+name] = true
	p.option = nil
	if p.current = p.config.section(name); p.current == nil {
		p.current = &confSection{name: name, file: p.in.name, at: at, options: map[string]*confOption{}}
		if name == defaultSection {
			p.config.sections = append([]*confSection{p.current}, p.config.sections...)
		} else {
			p.config.sections = append(p.config.sections, p.current)
		}
	}
	return nil
}

func (p *confParser) assign(text string, at place, indent int) error {
	if p.current == nil {
		return p.in.errorf(at, "%q: want a section such as [Main] before it", shorten(text))
	}
	i := strings.IndexAny(text, ":=")
	if i <= 0 {
		return p.in.errorf(at, "%q: want option: value", shorten(text))
	}
	name := strings.ToLower(strings.TrimSpace(text[:i]))
	if p.seen[p.current.name+"]"+name] {
		return p.in.errorf(at, "option %s is there twice in [%s]", shorten(name), p.current.name)
	}
	p.seen[p.current.name+"]"+name] = true
	p.option = &confOption{value: strings.TrimSpace(text[i+1:]), file: p.in.name, at: at}
	p.indent = indent
	p.current.options[name] = p.option
	return nil
}
