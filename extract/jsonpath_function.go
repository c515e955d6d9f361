package extract

import (
	"regexp"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// The functions of RFC 9535 §2.4. Those that yield a value are operands, those that
// yield a truth are conditions.
type (
	lengthOf struct{ arg operand }
	countOf  struct{ q query }
	valueOf  struct{ q query }
	matching struct {
		whole         bool // match rather than search
		text, pattern operand
		compiled      *regexp.Regexp // of a pattern written in the query
	}
)

func (l lengthOf) value(s *search, current any) (any, bool) {
	v, _ := l.arg.value(s, current)
	switch v := v.(type) {
	case string:
		return float64(utf8.RuneCountInString(v)), true
	case []any:
		return float64(len(v)), true
	case map[string]any:
		return float64(len(v)), true
	}
	return nil, false
}

func (c countOf) value(s *search, current any) (any, bool) {
	return float64(len(s.find(c.q, current))), true
}

func (v valueOf) value(s *search, current any) (any, bool) {
	nodes := s.find(v.q, current)
	if len(nodes) != 1 {
		return nil, false
	}
	return nodes[0], true
}

func (m matching) holds(s *search, current any) bool {
	v, _ := m.text.value(s, current)
	text, ok := v.(string)
	if !ok || !s.spend(1+len(text)/64) {
		return false
	}
	re := m.compiled
	if re == nil {
		v, _ := m.pattern.value(s, current)
		pattern, ok := v.(string)
		if !ok {
			return false
		}
		re = s.pattern(pattern, m.whole)
	}
	return re != nil && re.MatchString(text)
}

// maxPattern bounds the patterns that a document brings along.
const maxPattern = 1000

// pattern returns a compiled pattern of the document, nil when it is none.
func (s *search) pattern(p string, whole bool) *regexp.Regexp {
	if len(p) > maxPattern {
		return nil
	}
	key := p
	if whole {
		key = "=" + p
	} else {
		key = "~" + p
	}
	re, ok := s.patterns[key]
	if !ok && s.spend(1000) {
		re, _ = compilePattern(p, whole)
		if s.patterns == nil {
			s.patterns = map[string]*regexp.Regexp{}
		}
		s.patterns[key] = re
	}
	return re
}

// compilePattern reads an I-Regexp (RFC 9485), whose dot matches neither line feed nor
// carriage return, with RE2's.
func compilePattern(p string, whole bool) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		return nil, err
	}
	narrowDots(tree)
	p = tree.String()
	if whole {
		p = `\A(?:` + p + `)\z`
	}
	return regexp.Compile(p)
}

func narrowDots(re *syntax.Regexp) {
	if re.Op == syntax.OpAnyCharNotNL {
		re.Op = syntax.OpCharClass
		re.Rune = []rune{0, '\n' - 1, '\n' + 1, '\r' - 1, '\r' + 1, unicode.MaxRune}
	}
	for _, sub := range re.Sub {
		narrowDots(sub)
	}
}
