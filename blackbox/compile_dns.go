package blackbox

import (
	"cmp"
	"strings"

	"github.com/musterhq/muster/probe"
)

func (c *compiler) dns() (any, error) {
	m := &c.module.DNS
	c.family(m.family)
	c.source(m.Source)
	d := &probe.DNS{
		Name: literal(m.QueryName), Type: cmp.Or(m.QueryType, "ANY"), Class: m.QueryClass, Transport: m.Transport,
		NoRecurse: m.Recursion != nil && !*m.Recursion, NoTCP: true, NoEDNS: true, Tries: 1,
		Sections: m.ValidateAuthority.given() || m.ValidateAdditional.given(),
	}
	if m.DNSOverTLS {
		d.Transport, d.TLS = "tls", c.tls(m.TLSConfig)
	}
	rcodes := []string{"NOERROR"}
	if m.ValidRcodes != nil {
		rcodes = m.ValidRcodes
	}
	c.check("valid_rcodes", "rcode in [%s]", list(rcodes, quote))
	for _, s := range []struct {
		rule, rrs string
		rules     rrRules
	}{
		{"validate_answer_rrs", answerRecords(d.Sections), m.ValidateAnswer},
		{"validate_authority_rrs", authorityRecords, m.ValidateAuthority},
		{"validate_additional_rrs", additionalRecords, m.ValidateAdditional},
	} {
		c.recordRules(s.rule, s.rrs, s.rules)
	}
	return d, nil
}

func (r *rrRules) given() bool {
	return len(r.Matches)+len(r.AllMatch)+len(r.NotMatches)+len(r.NoneMatches) > 0
}

// The records of a section, one text each. The body has a section's records behind a heading, where it has any.
const (
	authorityRecords = `split(body, "\n")[int(answers + min(answers, 1) + min(authority, 1)):` +
		`int(answers + min(answers, 1) + min(authority, 1) + authority)]`
	additionalRecords = `split(body, "\n")[int(answers + min(answers, 1) + authority + min(authority, 1) + min(additional, 1)):` +
		`int(answers + min(answers, 1) + authority + min(authority, 1) + min(additional, 1) + additional)]`
)

func answerRecords(sections bool) string {
	if sections {
		return `split(body, "\n")[int(min(answers, 1)):int(min(answers, 1) + answers)]`
	}
	return `split(body, "\n")[0:int(answers)]`
}

// recordRules adds the rules for the records of a section. What must match fails without any record, and
// fail_if_all_match_regexp means what the exporter makes of it: it fails unless all of them match.
func (c *compiler) recordRules(rule, rrs string, r rrRules) {
	name := func(key string, re pattern) string { return ruleName(rule+"."+key, string(re)) }
	for _, re := range r.Matches {
		c.check(name("fail_if_matches_regexp", re), "none(%s, # matches %s)", rrs, quote(re))
	}
	for _, re := range r.NotMatches {
		c.check(name("fail_if_not_matches_regexp", re), "let rrs = %s; len(rrs) > 0 && all(rrs, # matches %s)", rrs, quote(re))
	}
	for _, re := range r.AllMatch {
		c.check(name("fail_if_all_match_regexp", re), "all(%s, # matches %s)", rrs, quote(re))
	}
	if len(r.NoneMatches) == 0 {
		return
	}
	tests := make([]string, len(r.NoneMatches))
	for i, re := range r.NoneMatches {
		tests[i] = "# matches " + quote(re)
	}
	c.check(name("fail_if_none_matches_regexp", r.NoneMatches[0]), "any(%s, %s)", rrs, strings.Join(tests, " || "))
}
