package sim

import (
	"strconv"
	"strings"
)

// String is the form that [ParseBehaviour] reads back.
func (b Behaviour) String() string {
	var parts []string
	if b.Delay != (Latency{}) {
		parts = append(parts, "slow:"+b.Delay.String())
	}
	if b.Version != "" {
		parts = append(parts, "version:"+b.Version)
	}
	if b.Kind != "" && (b.Kind != OK || len(parts) == 0) {
		name := string(b.Kind)
		if arg := b.arg(); arg != "" {
			name += ":" + arg
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return string(OK)
	}
	return strings.Join(parts, "+")
}

func (b Behaviour) arg() string {
	switch b.Kind {
	case Status:
		return strconv.Itoa(b.Status)
	case Drip:
		return b.Interval.String()
	case Garbage, Oversized:
		return strconv.FormatInt(b.Size, 10)
	case Flaky:
		return strconv.FormatFloat(b.Share, 'g', -1, 64) + "," + strconv.Itoa(b.Status)
	case Warmup:
		return strconv.Itoa(b.Count) + "," + strconv.Itoa(b.Status)
	}
	return b.Where
}

// MarshalText implements [encoding.TextMarshaler].
func (b Behaviour) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Behaviour) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBehaviour(string(text))
	return err
}

// cutArg splits name:argument or name(argument); a bare name has no argument.
func cutArg(s string) (name, arg string) {
	if name, arg, ok := cutCall(s); ok && !strings.Contains(name, ":") {
		return name, arg
	}
	name, arg, _ = strings.Cut(s, ":")
	return name, arg
}

// cutCall splits name(argument).
func cutCall(s string) (name, arg string, ok bool) {
	name, arg, ok = strings.Cut(s, "(")
	if !ok || !strings.HasSuffix(arg, ")") {
		return s, "", false
	}
	return name, arg[:len(arg)-1], true
}

// splitTop splits at the separators that are outside parentheses.
func splitTop(s string, separators ...rune) []string {
	depth := 0
	return strings.FieldsFunc(s, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		for _, sep := range separators {
			if r == sep && depth == 0 {
				return true
			}
		}
		return false
	})
}
