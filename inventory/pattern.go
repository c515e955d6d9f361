package inventory

import (
	"fmt"
	"strings"
)

// patternGrid reads a host with brackets: web[01-40].example.com, 127.1.[0-255].[1-250].
func patternGrid(text string) (host, grid, error) {
	p := pattern{digits: oneNumber(noDigits)}
	for i := 0; i < len(text); {
		n, err := p.feed(text[i:])
		if err != nil {
			return host{}, grid{}, behind(i, err)
		}
		i += n
	}
	b, err := p.box()
	if err != nil {
		return host{}, grid{}, err
	}
	last := b.host(b.n - 1)
	if !last.addr.IsValid() {
		// The last host has the most digits; the others differ in digits only.
		if err := checkName(last.name); err != nil {
			return host{}, grid{}, err
		}
	}
	if b.n == 1 {
		return last, grid{}, nil
	}
	return host{}, grid{box: b}, nil
}

// pattern gathers the shape and the dimensions of a host with brackets.
type pattern struct {
	shape  strings.Builder
	dims   []ranges
	digits ranges // the run of digits and brackets being read
	open   bool   // digits has something
	exact  bool   // keep letters and final dots: the name of groups, not of hosts
}

// feed takes the next piece of text and returns its length.
func (p *pattern) feed(text string) (int, error) {
	switch {
	case text[0] == '[':
		inner, _, _ := strings.Cut(text[1:], "]")
		keys, err := parseBracket(inner)
		if err != nil {
			return 0, behind(1, err)
		}
		return len(inner) + 2, p.run(keys)
	case isDigit(text[0]):
		n := 1
		for n < len(text) && isDigit(text[n]) {
			n++
		}
		if n > maxDigits {
			return 0, fmt.Errorf("more than %d digits in a row in a host with brackets", maxDigits)
		}
		return n, p.run(oneNumber(digitKey(text[:n])))
	}
	if text[0] == ']' {
		return 0, fmt.Errorf(`"]" closes nothing`)
	}
	n := 1
	for n < len(text) && text[n] != '[' && text[n] != ']' && !isDigit(text[n]) {
		n++
	}
	piece := text[:n]
	if !p.exact {
		piece = strings.ToLower(piece)
	}
	if n == len(text) && !p.exact {
		piece = strings.TrimSuffix(piece, ".")
	}
	if strings.Contains(piece, hole) {
		return 0, fmt.Errorf("host name: %q cannot be in it", hole)
	}
	err := p.endRun()
	p.shape.WriteString(piece)
	return n, err
}

func (p *pattern) run(keys ranges) (err error) {
	p.digits, err = concat(p.digits, keys)
	p.open = true
	return err
}

func (p *pattern) endRun() error {
	if !p.open {
		return nil
	}
	if len(p.dims) == maxDims {
		return fmt.Errorf("more than %d numbers in a host with brackets", maxDims)
	}
	p.dims = append(p.dims, p.digits)
	p.shape.WriteString(hole)
	p.digits, p.open = oneNumber(noDigits), false
	return nil
}

func (p *pattern) box() (*box, error) {
	if err := p.endRun(); err != nil {
		return nil, err
	}
	shape := p.shape.String()
	if shape != hole+"."+hole+"."+hole+"."+hole {
		return newBox(shape, p.dims)
	}
	octets := make([]ranges, 4)
	for d := range octets {
		var err error
		if octets[d], err = octetsOf(p.dims[d]); err != nil {
			return nil, err
		}
	}
	return newBox(shapeIPv4, octets)
}

// octetsOf turns keys of digits into the octets they write.
func octetsOf(keys ranges) (ranges, error) {
	var out []span
	for _, s := range keys.spans {
		w := width(s.lo)
		lo, hi := s.lo-pow10[w], s.hi-pow10[w]
		if hi > 255 || w > 1 && lo < pow10[w-1] {
			return ranges{}, fmt.Errorf("an IPv4 address has numbers from 0 to 255 without leading zeros, not %s",
				appendDigits(nil, s.hi))
		}
		out = append(out, span{lo, hi})
	}
	return newRanges(out), nil
}
