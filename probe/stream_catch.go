package probe

import (
	"regexp"
	"strconv"

	"github.com/musterhq/muster"
)

// catches are what the expectations of one dialogue caught.
type catches struct {
	groups []string // of the last expectation
	caught map[string]string
}

// hold holds a pattern against text and keeps its groups. It returns where the match ends, -1 without one.
func (c *catches) hold(re *regexp.Regexp, text []byte) int {
	m := re.FindSubmatchIndex(text)
	if m == nil {
		return -1
	}
	c.groups = make([]string, len(m)/2)
	for i, name := range re.SubexpNames() {
		if m[2*i] >= 0 {
			c.groups[i] = string(text[m[2*i]:m[2*i+1]])
		}
		if name != "" {
			c.catch(name, c.groups[i])
		}
	}
	return m[1]
}

func (c *catches) catch(name, value string) {
	if c.caught == nil {
		c.caught = map[string]string{}
	}
	c.caught[name] = value
}

// compose makes the fields of a step whose expectation is met.
func (c *catches) compose(st *tcpStep, values []pieces) {
	for i, f := range st.fields {
		c.catch(f.name, string(values[i].appendTo(nil, c.group)))
	}
}

// group returns what the group of that number or name caught.
func (c *catches) group(ref string) []byte {
	if n, err := strconv.Atoi(ref); err == nil {
		if n < len(c.groups) {
			return []byte(c.groups[n])
		}
		return nil
	}
	return []byte(c.caught[ref])
}

// field returns what was caught under the name as a field, nil when there is nothing.
func (c *catches) field(name string) muster.Field {
	if v, ok := c.caught[name]; ok {
		return muster.Field{Name: name, Value: v}
	}
	return muster.Field{Name: name}
}
