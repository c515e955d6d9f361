package blackbox

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// patience is longer than any attempt: the exporter waits for what it expects until the attempt ends.
const patience = muster.Duration(24 * time.Hour)

func (c *compiler) tcp() (any, error) {
	m := &c.module.TCP
	c.family(m.family)
	c.source(m.Source)
	s := &probe.TCP{Secure: m.TLS, TLS: c.tls(m.TLSConfig), Until: "none"}
	if len(m.QueryResponse) > 0 {
		s.IdleTimeout, s.BodyLimit = patience, matchedBody
	}
	for i, q := range m.QueryResponse {
		if q.StartTLS && (m.TLS || slices.ContainsFunc(s.Steps, func(st probe.Step) bool { return st.StartTLS })) {
			return nil, c.errorf(index(".tcp.query_response", i), "starttls: the connection speaks TLS already")
		}
		s.Steps = append(s.Steps, steps(q, `\n`)...)
	}
	return s, nil
}

// steps are what the exporter does for one entry: expect, then send with an end, then the handshake.
func steps(q queryResponse, end string) (list []probe.Step) {
	var re *regexp.Regexp
	if q.Expect != nil {
		re = regexp.MustCompile(string(*q.Expect)) // it compiled when the file was read
		// An empty pattern matches any line; a step must have one to expect.
		expect := string(*q.Expect)
		if expect == "" {
			expect = "^"
		}
		st := probe.Step{Expect: expect}
		for _, l := range q.Labels {
			st.Fields = append(st.Fields, probe.Pair{Name: l.Name, Value: expanded(re, l.Value)})
		}
		list = append(list, st)
	}
	if q.ExpectBytes != "" {
		list = append(list, probe.Step{ExpectBytes: probe.Escape(q.ExpectBytes), Next: true})
	}
	if q.Send != "" {
		text := probe.Escape(q.Send)
		if re != nil {
			text = expanded(re, q.Send)
		}
		list = append(list, probe.Step{Send: text + end})
	}
	if q.StartTLS {
		list = append(list, probe.Step{StartTLS: true})
	}
	return list
}

// groupReference matches what [regexp.Regexp.Expand] takes for a reference or an escape.
var groupReference = regexp.MustCompile(`\$(?:\$|\{(\w+)\}|(\w+))`)

// expanded writes a text with references to the groups of re as a step writes them. What refers to no group is
// nothing, as Expand has it.
func expanded(re *regexp.Regexp, text string) string {
	var b strings.Builder
	at := 0
	for _, m := range groupReference.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(probe.Escape(text[at:m[0]]))
		at = m[1]
		if text[m[0]:m[1]] == "$$" {
			b.WriteString(probe.Escape("$"))
			continue
		}
		name := text[max(m[2], m[4]):max(m[3], m[5])]
		if n, err := strconv.Atoi(name); err == nil && n > re.NumSubexp() || err != nil && re.SubexpIndex(name) < 0 {
			continue
		}
		b.WriteString("${" + name + "}")
	}
	b.WriteString(probe.Escape(text[at:]))
	return b.String()
}
