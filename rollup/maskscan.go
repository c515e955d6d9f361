package rollup

import (
	"strings"

	"github.com/musterhq/muster"
)

// Append appends the body of r to dst with what the masks cover replaced. t may be nil; then
// only the result's own id and address are known as names. Time is linear in the body.
func (m Masks) Append(dst []byte, t *muster.Target, r *muster.Result) []byte {
	if m == 0 {
		return append(dst, r.Body...)
	}
	s := maskScan{masks: m, b: r.Body, dst: dst, prev: span{-1, -1}}
	if m&MaskName != 0 {
		s.names = namesOf(t, r)
		for _, name := range s.names {
			if name != "" {
				s.first[name[0]] = true
			}
		}
	}
	return s.run()
}

// A maskScan goes through a body once, from word to word.
type maskScan struct {
	masks Masks
	b     []byte
	dst   []byte
	from  int // what lies before is in dst
	names [6]string
	first [256]bool // the bytes with which a name begins
	prev  span      // the word before
}

type span struct{ start, end int }

func (s *maskScan) run() []byte {
	for i := 0; i < len(s.b); {
		if s.first[s.b[i]] && (i == 0 || !isWord(s.b[i-1])) {
			if end := s.name(i); end > 0 {
				i = s.replace(i, end, "<name>")
				continue
			}
		}
		if !isWord(s.b[i]) {
			i++
			continue
		}
		i = s.word(i)
	}
	return append(s.dst, s.b[s.from:]...)
}

// word looks at the word that starts at i and returns where to go on.
func (s *maskScan) word(i int) int {
	if s.masks&MaskTime != 0 {
		if end := timestamp(s.b, i); end > 0 {
			return s.replace(i, end, "<time>")
		}
	}
	end := i + 1
	for end < len(s.b) && isWord(s.b[end]) {
		end++
	}
	if s.masks&MaskID != 0 {
		if idEnd := identifier(s.b, i, end); idEnd > 0 {
			return s.replace(i, idEnd, "<id>")
		}
		if start, idEnd := keyedID(s.b, s.prev, span{i, end}); idEnd > 0 {
			return s.replace(start, idEnd, "<id>")
		}
	}
	s.prev = span{i, end}
	return end
}

func (s *maskScan) replace(start, end int, with string) int {
	s.dst = append(append(s.dst, s.b[s.from:start]...), with...)
	s.from = end
	s.prev = span{-1, -1}
	return end
}

// name returns where the longest of the target's names that stands at i ends, or 0.
func (s *maskScan) name(i int) int {
	best := 0
	for _, name := range s.names {
		end := i + len(name)
		if name == "" || end <= best || end > len(s.b) || string(s.b[i:end]) != name {
			continue
		}
		if wholeName(s.b, i, end) {
			best = end
		}
	}
	return best
}

// wholeName reports whether b[i:end] is not a part of a longer name or address: 10.0.0.1 is
// not in 10.0.0.12, 110.0.0.1 or 10.0.0.1.5.
func wholeName(b []byte, i, end int) bool {
	if end < len(b) && isWord(b[end]) && isWord(b[end-1]) {
		return false
	}
	if isDigit(b[end-1]) && end+1 < len(b) && b[end] == '.' && isDigit(b[end+1]) {
		return false
	}
	return i < 2 || !isDigit(b[i]) || b[i-1] != '.' || !isDigit(b[i-2])
}

// namesOf returns the names under which the target may occur in its own answer. Numbers and
// single letters would hide too much.
func namesOf(t *muster.Target, r *muster.Result) (names [6]string) {
	n := 0
	add := func(name string) {
		if len(name) > 1 && strings.Trim(name, "0123456789") != "" {
			names[n] = name
			n++
		}
	}
	add(r.Target)
	if r.Address.IsValid() {
		text := r.Address.String()
		add(text)
		add(strings.Trim(text[:strings.LastIndexByte(text, ':')], "[]"))
	}
	if t != nil && t.Host != "" {
		add(t.Host)
		if t.Port != 0 {
			add(hostPort(t.Host, t.Port))
		}
	}
	return names
}
