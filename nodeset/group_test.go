package nodeset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// groups is a Resolver: groups by source and name; "*" is all nodes.
type groups map[string]map[string]string

func (g groups) Group(_ context.Context, source, name string) (string, error) {
	text, ok := g[source][name]
	if !ok {
		return "", fmt.Errorf("source %q has no group %q", source, name)
	}
	return text, nil
}

func (g groups) Groups(_ context.Context, source string) ([]string, error) {
	if g[source] == nil {
		return nil, errSource
	}
	names := slices.Sorted(maps.Keys(g[source]))
	return slices.DeleteFunc(names, func(s string) bool { return s == "*" }), nil
}

func (g groups) All(_ context.Context, source string) (string, error) {
	text, ok := g[source]["*"]
	if !ok {
		return "", errors.ErrUnsupported
	}
	return text, nil
}

var fleet = groups{
	"": {
		"*": "web[1-9],db[01-02],row#1", "web": "web[1-9]", "front": "web[1-3]", "db": "db[01-02]", "both": "@db,@front",
		"loop": "@loop2", "loop2": "n1,@loop", "odd": "@web!@front", "rack1": "web[1-2]", "rack2": "web[3-4]", "empty": "",
		"bad": "web[", "star": "web*",
	},
	"site": {"a": "@b,x1", "b": "x[2-3]", "cross": "@:db"},
	"wild": {"*": "@x", "x": "w*"},
}

func TestGroups(t *testing.T) {
	t.Parallel()
	p := Parser{Resolver: fleet}
	for text, want := range map[string]string{
		"@web": "web[1-9]", "@both": "db[01-02],web[1-3]", "@web!@front": "web[4-9]", "@odd&web[1-5]": "web[4-5]",
		"@rack[1-2]": "web[1-4]", "@*": "db[01-02],row#1,web[1-9]", "@empty": "", "@site:a": "x[1-3]", "@site:*": "db[01-02],x[1-3]",
		"@@site": "a,b,cross", "@site:cross": "db[01-02]", "web*": "web[1-9]", "web?,db*1": "db01,web[1-9]", "*[1-2]": "db[01-02],row#1,web[1-2]",
		"*!web*": "db[01-02],row#1", "row#?": "row#1", `web\*`: `web\*`, "*x": "", "@star": "web[1-9]", "a@web": "a@web", `\@web`: `\@web`,
		"http://web?x=1": "http://web?x=1",
	} {
		s, err := p.Parse(t.Context(), text)
		if err != nil || s.String() != want {
			t.Errorf("Parse(%q) = %v, %v, want %q", text, s, err, want)
		}
	}
}

func TestGroupErrors(t *testing.T) {
	t.Parallel()
	p := Parser{Resolver: fleet}
	for text, want := range map[string]string{
		"a,@none":  `node set "a,@none": column 3: group @none: source "" has no group "none"`,
		"@loop":    `node set "@loop": column 1: group @loop: node set "@loop2": column 1: group @loop2: node set "n1,@loop": column 4: group cycle @loop -> @loop2 -> @loop`,
		"@bad":     `node set "@bad": column 1: group @bad: node set "web[": column 4: bracket not closed`,
		"@@none":   `node set "@@none": column 1: groups of source "none": timeout`,
		"@none:*":  `node set "@none:*": column 1: group @none:*: groups of source "none": timeout`,
		"@wild:*":  `node set "@wild:*": column 1: group @wild:*: node set "@x": column 1: group @wild:x: node set "w*": column 1: wildcard "w*": group cycle @wild:* -> @wild:x -> @wild:*`,
		"@x[1-9e]": `node set "@x[1-9e]": column 4: range "1-9e": not a number of at most 18 digits`,
	} {
		if s, err := p.Parse(t.Context(), text); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v\n got %v\nwant %s", text, s, err, want)
		}
	}
	if _, err := p.Parse(t.Context(), "@@none"); !errors.Is(err, errSource) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := p.Parse(t.Context(), "@g[1-9999999999]"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("groups without bound: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Parse(ctx, "@web"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Every group names the one before it twice: resolving each once is linear.
func TestGroupsAreResolvedOnce(t *testing.T) {
	t.Parallel()
	chain := groups{"": {"g0": "n1"}}
	for i := range 60 {
		chain[""][fmt.Sprintf("g%d", i+1)] = fmt.Sprintf("@g%d,@g%d", i, i)
	}
	s, err := Parser{Resolver: chain}.Parse(t.Context(), "@g60")
	if err != nil || s.String() != "n1" {
		t.Errorf("%v, %v", s, err)
	}
}

func TestRegroup(t *testing.T) {
	t.Parallel()
	source := groups{
		"":  {"web": "web[1-9]", "rack1": "web[1-2]", "rack2": "web[3-4]", "rack3": "web[5-6]", "db": "db1", "a*": "x", "none": ""},
		"r": {"one": "web[1-2]"},
	}
	p := Parser{Resolver: source}
	for _, c := range []struct{ text, source, want string }{
		{"web[1-9],db1,y", "", "@db,@web,y"},
		{"web[1-4]", "", "@rack[1-2]"},
		{"web[1-5]", "", "@rack[1-2],web5"},
		{"web9", "", "web9"},
		{"web[1-3]", "r", "@r:one,web3"},
		{"x", "", `@a\*`},
		{"", "", ""},
	} {
		s := mustParse(t, c.text)
		got, err := p.Regroup(t.Context(), s, c.source)
		if err != nil || got != c.want {
			t.Errorf("Regroup(%q, %q) = %q, %v, want %q", c.text, c.source, got, err, c.want)
		}
		if back, err := p.Parse(t.Context(), got); err != nil || !back.Equal(s) {
			t.Errorf("Parse(%q) = %v, %v, want %q", got, back, err, s)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mask, name string
		want       bool
	}{
		{"*", "", true},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "axxbyy", false},
		{"?", "é", true},
		{"?", "", false},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{"a?c*", "abc", true},
		{"*ab", "aab", true},
		{"ab", "abc", false},
		{`\\`, `\`, true},
	} {
		if match(c.mask, c.name) != c.want {
			t.Errorf("match(%q, %q) = %v", c.mask, c.name, !c.want)
		}
	}
}
