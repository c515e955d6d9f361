package probe

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (s TCP) Validate() error {
	var p problems
	if s.Port != "" && !isTemplate(s.Port) {
		_, err := parsePort(s.Port)
		p.add(err)
	}
	s.TLS.validate(&p)
	known := groups{}
	for i := range s.Steps {
		s.Steps[i].validate(&p, i+1, &known)
	}
	s.validateUntil(&p)
	starts := slices.ContainsFunc(s.Steps, func(st Step) bool { return st.StartTLS })
	p.addIf(starts && s.Secure, "starttls: the connection speaks TLS from the first byte (secure) already")
	p.addIf(s.IdleTimeout < 0, "idle_timeout %v: want a positive duration", s.IdleTimeout)
	p.addIf(s.BodyLimit < 0 || s.BodyLimit > maxBodyLimit, "body_limit %d: want 1 to %d bytes", s.BodyLimit, maxBodyLimit)
	return errors.Join(p...)
}

// validate adds the problems of the options.
func (t *TLS) validate(p *problems) {
	p.addIf(t.Key != "" && t.Cert == "", "tls key: it needs its certificate (tls cert)")
	t.validateVersions(p)
}

func (s *TCP) validateUntil(p *problems) {
	switch s.Until {
	case "", untilNone, untilClose, untilIdle:
		return
	}
	if _, _, err := s.untilValue(); err != nil {
		p.add(err)
	}
}

// untilValue returns the delimiter or the length that ends an answer.
func (s *TCP) untilValue() (delim string, length int, err error) {
	if text, ok := strings.CutPrefix(s.Until, untilDelim); ok && text != "" {
		delim, err = fixedBytes(text)
		return delim, 0, err
	}
	if text, ok := strings.CutPrefix(s.Until, untilLen); ok {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			return "", n, nil
		}
	}
	return "", 0, muster.Errorf(muster.KindInvalid, "until %q: want none, close, idle, delim:TEXT or len:BYTES", s.Until)
}

// groups are what the expectations so far catch.
type groups struct {
	numbers int // of the last expectation
	names   []string
}

func (st *Step) validate(p *problems, n int, known *groups) {
	acts := 0
	for _, given := range []bool{st.Send != "", st.Hex != "", st.Expect != "", st.ExpectBytes != "", st.StartTLS} {
		if given {
			acts++
		}
	}
	p.addIf(acts != 1, "step %d: want exactly one of send, hex, expect, expect_bytes and starttls", n)
	p.addIf(st.Raw && st.Expect == "", "step %d: raw goes with expect", n)
	p.addIf(st.Next && (st.Raw || st.Expect == "" && st.ExpectBytes == ""), "step %d: next goes with expect_bytes, or with expect without raw", n)
	p.addIf(len(st.Fields) > 0 && st.Expect == "", "step %d: fields go with expect", n)
	at := "step " + strconv.Itoa(n)
	_, err := hexBytes(st.Hex)
	p.addIf(err != nil, "%s: hex %v", at, err)
	_, err = fixedBytes(st.ExpectBytes)
	p.addIf(err != nil, "%s: expect_bytes %v", at, err)
	if st.Expect != "" {
		re, err := regexp.Compile(st.Expect)
		if err != nil {
			p.addIf(true, "%s: expect %q: %s", at, st.Expect, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return
		}
		known.numbers = re.NumSubexp()
		known.names = append(known.names, re.SubexpNames()...)
	}
	known.check(p, at+": send", st.Send)
	for _, f := range st.Fields {
		p.addIf(!isGroupName(f.Name), "%s: field %q: want a name of letters, digits and _", at, f.Name)
		known.check(p, at+": field "+f.Name, f.Value)
	}
}

// check adds the problems of a text with references.
func (g *groups) check(p *problems, what, text string) {
	parts, err := splitSend(text)
	p.addIf(err != nil, "%s: %v", what, err)
	for _, part := range parts {
		if n, err := strconv.Atoi(part.ref); err == nil {
			p.addIf(n > g.numbers || n < 0, "%s: ${%d}: the expectation before it has %d groups", what, n, g.numbers)
			continue
		}
		p.addIf(part.ref != "" && !slices.Contains(g.names, part.ref), "%s: ${%s}: no expectation before it has a group of that name, (?P<%[2]s>…)", what, part.ref)
	}
}

// fieldNames returns the names of the fields that the steps catch, each once.
func (s *TCP) fieldNames() []string {
	var names []string
	add := func(name string) {
		if name != "" && name != bannerField && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, st := range s.Steps {
		if re, err := regexp.Compile(st.Expect); err == nil {
			for _, name := range re.SubexpNames() {
				add(name)
			}
		}
		for _, f := range st.Fields {
			add(f.Name)
		}
	}
	return names
}
