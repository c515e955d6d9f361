package inventory

import (
	"fmt"
	"strings"

	"github.com/musterhq/muster"
)

// describe says for people what the query names.
func (q *Query) describe() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	for _, s := range q.Sets {
		add("%s", clip(withoutUserinfo(s)))
	}
	for _, s := range q.Stored {
		add("%s", clip(s.String()))
	}
	for _, f := range q.Hostfiles {
		add("hosts of %s", inputName(f.Path))
	}
	for _, g := range q.Groups {
		add("group %s", g)
	}
	if len(parts) == 0 && q.Base != "" {
		add("%s", clip(q.Base))
	}
	text := strings.Join(parts, ", ")
	if q.Each != nil {
		text += ", each of " + inputName(q.Each.Path)
	}
	if len(q.Exclude) > 0 {
		text += ", without " + clip(strings.Join(q.Exclude, ","))
	}
	if q.Selector != "" {
		text += ", where " + q.Selector
	}
	if q.Limit != (muster.Size{}) {
		text += fmt.Sprintf(", a sample of %v (seed %d)", q.Limit, q.Seed)
	}
	return text
}

// clip shortens a text to what a line can show.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// inputName is a file's name, or a URL without its query, which may be a secret.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	if schemeLen(path) == 0 {
		return path
	}
	path, _, _ = strings.Cut(path, "?")
	scheme, rest, _ := strings.Cut(path, "://")
	if i := strings.LastIndexByte(rest[:endOf(rest, "/")], '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + "://" + rest
}

// emptyError says which part of the query left nothing.
func (q *Query) emptyError(o *tally) error {
	why := ""
	switch {
	case len(q.Sets)+len(q.Stored)+len(q.Groups)+len(q.Hostfiles) == 0 && q.Each == nil:
		why = "name some with -w, -g or --hostfile"
	case o.whole > 0:
		why = fmt.Sprintf("%v of %d is none: ask for more", q.Limit, o.whole)
	case o.listed == 0:
		why = fmt.Sprintf("%s has none", q.sources())
	case o.excluded == o.listed:
		why = fmt.Sprintf("%s gave %d and -x took all of them", q.sources(), o.listed)
	case o.unselected == o.listed:
		why = fmt.Sprintf("%s gave %d and -l %q matches none of them", q.sources(), o.listed, q.Selector)
	default:
		why = fmt.Sprintf("%s gave %d, -x took %d and -l %q does not match the rest", q.sources(), o.listed, o.excluded, q.Selector)
	}
	return muster.Errorf(muster.KindInvalid, "no targets: %s", why)
}

func (q *Query) sources() string {
	bare := Query{Sets: q.Sets, Stored: q.Stored, Hostfiles: q.Hostfiles, Groups: q.Groups, Base: q.Base, Each: q.Each}
	return bare.describe()
}
