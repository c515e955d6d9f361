package hostfile

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	iniHeader = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$`)
	iniGroup  = regexp.MustCompile(`^([^:\]\s]+)\s*(?:#.*)?$`)
)

// readINI reads an Ansible inventory in INI form.
func readINI(in *input, emit emitFunc) error {
	text, err := in.load(MaxDocument)
	if err != nil {
		return err
	}
	f := newFleet()
	p := &iniParser{
		in: in, fleet: f, group: f.group(groupUngrouped), section: "hosts",
		declared: map[string]bool{groupAll: true, groupUngrouped: true},
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if err := p.line(string(trimEnd(line)), number); err != nil {
			return err
		}
	}
	if err := p.undeclared(); err != nil {
		return err
	}
	f.rows(in, emit)
	return nil
}

type iniParser struct {
	in       *input
	fleet    *fleet
	group    *fleetGroup
	section  string // hosts, vars or children
	declared map[string]bool
	pending  []iniPending
}

// iniPending is a group named before it is declared.
type iniPending struct {
	name, section string
	at            place
}

func (p *iniParser) line(line string, number int) error {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' || text[0] == ';' {
		return nil
	}
	at := place{number, strings.Index(line, text) + 1}
	if !utf8.ValidString(text) {
		return p.in.errorf(at, "the line is not UTF-8 text")
	}
	if m := iniHeader.FindStringSubmatch(text); m != nil {
		return p.header(m[1], m[2], at)
	}
	if text[0] == '[' && text[len(text)-1] == ']' {
		return p.in.errorf(at, "section %q: want [group], [group:vars] or [group:children] without spaces", shorten(text))
	}
	switch p.section {
	case "vars":
		return p.variable(text, at)
	case "children":
		return p.child(text, at)
	}
	return p.host(text, at)
}

func (p *iniParser) header(name, section string, at place) error {
	if section == "" {
		section = "hosts"
	}
	if section != "hosts" && section != "vars" && section != "children" {
		return p.in.errorf(at, "section [%s:%s]: want :vars, :children or none", shorten(name), shorten(section))
	}
	p.group, p.section = p.fleet.group(name), section
	if section == "vars" {
		p.pending = append(p.pending, iniPending{name, section, at})
	} else {
		p.declared[name] = true
	}
	return nil
}

// undeclared reports the first group that is named but never declared.
func (p *iniParser) undeclared() error {
	for _, u := range p.pending {
		switch {
		case p.declared[u.name]:
		case u.section == "vars":
			return p.in.errorf(u.at, "section [%s:vars] is for a group that is not there: add [%s]", shorten(u.name), shorten(u.name))
		default:
			return p.in.errorf(u.at, "the child group %q is not there: add [%s]", shorten(u.name), shorten(u.name))
		}
	}
	return nil
}

func (p *iniParser) variable(text string, at place) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return p.in.errorf(at, "%q: want name=value in [%s:vars]", shorten(text), p.group.name)
	}
	p.group.set(strings.TrimSpace(name), unquoteLiteral(strings.TrimSpace(value)))
	return nil
}

func (p *iniParser) child(text string, at place) error {
	m := iniGroup.FindStringSubmatch(text)
	if m == nil {
		return p.in.errorf(at, "%q: want the name of a group in [%s:children]", shorten(text), p.group.name)
	}
	p.pending = append(p.pending, iniPending{m[1], "children", at})
	if !p.fleet.adopt(p.group, p.fleet.group(m[1])) {
		return p.in.errorf(at, "group %q cannot be a child of %q: it is above it", shorten(m[1]), p.group.name)
	}
	return nil
}

func (p *iniParser) host(text string, at place) error {
	words, unclosed := splitWords(text)
	if unclosed >= 0 {
		return p.in.errorf(place{at.line, at.col + unclosed}, "the quote that starts here is not closed")
	}
	if len(words) == 0 {
		return nil
	}
	hosts, port, err := expandPattern(words[0].text)
	if err != nil {
		if pe, ok := errors.AsType[*patternError](err); ok {
			at.col += words[0].offset + pe.offset
		}
		return p.in.errorf(at, "host %q: %s", shorten(words[0].text), err)
	}
	for _, w := range words[1:] {
		if name, _, ok := strings.Cut(w.text, "="); !ok || name == "" {
			return p.in.errorf(place{at.line, at.col + w.offset}, "%q: want name=value after the host", shorten(w.text))
		}
	}
	if err := p.fleet.tooMany(p.in, len(hosts), at); err != nil {
		return err
	}
	for _, name := range hosts {
		h := p.fleet.host(name, p.group, at)
		if port != "" {
			h.set("ansible_port", port)
		}
		for _, w := range words[1:] {
			k, v, _ := strings.Cut(w.text, "=")
			h.set(k, unquoteLiteral(v))
		}
	}
	return nil
}
