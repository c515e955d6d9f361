package sim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Share is one behaviour of a [Mix] and its weight.
type Share struct {
	Behaviour Behaviour
	Weight    float64
}

// Mix spreads behaviours over the fleet: each address gets one of them, with a
// probability in proportion to its weight. An empty mix is ok for all.
type Mix []Share

// ParseMix reads behaviours separated by commas or white space, each with an
// optional weight (1 if absent): "ok*90,slow:10ms-2s*9,reset*1".
func ParseMix(s string) (Mix, error) {
	var m Mix
	for _, part := range splitTop(s, ',', ' ', '\t', '\n') {
		text, weight, err := cutWeight(part)
		if err != nil {
			return nil, err
		}
		b, err := ParseBehaviour(text)
		if err != nil {
			return nil, err
		}
		m = append(m, Share{Behaviour: b, Weight: weight})
	}
	return m, m.validate()
}

func (m Mix) validate() error {
	sum := 0.0
	for _, s := range m {
		sum += s.Weight
	}
	if len(m) > 0 && sum <= 0 {
		return errors.New("mix: all weights are zero")
	}
	return nil
}

// String is the form that [ParseMix] reads back.
func (m Mix) String() string {
	parts := make([]string, len(m))
	for i, s := range m {
		parts[i] = braced(s.Behaviour.String()) + weightSuffix(s.Weight)
	}
	return strings.Join(parts, ",")
}

// braced puts the argument of a behaviour in parentheses if it holds a comma
// outside of them, which would end it in a list.
func braced(s string) string {
	parts := splitTop(s, '+')
	for i, p := range parts {
		if len(splitTop(p, ',')) > 1 {
			name, arg := cutArg(p)
			parts[i] = name + "(" + arg + ")"
		}
	}
	return strings.Join(parts, "+")
}

// MarshalText implements [encoding.TextMarshaler].
func (m Mix) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mix) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMix(string(text))
	return err
}

// VersionShare is one software version and the weight of the addresses that report it.
type VersionShare struct {
	Version string
	Weight  float64
}

// Versions spreads software versions over the fleet as a [Mix] does behaviours.
// Empty means 2.4.1*90,2.4.0*9,2.3.9*1.
type Versions []VersionShare

// ParseVersions reads "2.4.1*90,2.4.0*9,2.3.9*1"; a weight is 1 if absent.
func ParseVersions(s string) (Versions, error) {
	var vs Versions
	for _, part := range splitTop(s, ',', ' ', '\t', '\n') {
		text, weight, err := cutWeight(part)
		if err != nil {
			return nil, err
		}
		vs = append(vs, VersionShare{Version: text, Weight: weight})
	}
	return vs, vs.validate()
}

func (vs Versions) validate() error {
	sum := 0.0
	for _, v := range vs {
		sum += v.Weight
		if v.Version == "" || strings.ContainsAny(v.Version, "\"\\\r\n") {
			return fmt.Errorf("versions: %q is not a plain word", v.Version)
		}
	}
	if len(vs) > 0 && sum <= 0 {
		return errors.New("versions: all weights are zero")
	}
	return nil
}

// String is the form that [ParseVersions] reads back.
func (vs Versions) String() string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Version + weightSuffix(v.Weight)
	}
	return strings.Join(parts, ",")
}

// MarshalText implements [encoding.TextMarshaler].
func (vs Versions) MarshalText() ([]byte, error) { return []byte(vs.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (vs *Versions) UnmarshalText(text []byte) (err error) {
	*vs, err = ParseVersions(string(text))
	return err
}

func cutWeight(s string) (text string, weight float64, err error) {
	i := strings.LastIndexByte(s, '*')
	if i < 0 {
		return s, 1, nil
	}
	weight, err = strconv.ParseFloat(s[i+1:], 64)
	if err != nil || math.IsInf(weight, 0) || !(weight >= 0) {
		return "", 0, fmt.Errorf("weight of %q: want a number after *", s)
	}
	return s[:i], weight, nil
}

func weightSuffix(w float64) string {
	return "*" + strconv.FormatFloat(w, 'g', -1, 64)
}
