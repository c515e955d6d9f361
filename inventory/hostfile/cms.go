package hostfile

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/musterhq/muster"
)

// maxPages bounds a query that never ends.
const maxPages = 100_000

// readCMS reads the pages of a query: each is an object whose list result holds
// the records; while hasmore is true, next.url names the page that follows.
func (r Reader) readCMS(ctx context.Context, in *input, emit emitFunc) error {
	current, seen := r.Path, map[string]bool{}
	for {
		seen[current] = true
		doc, err := parseJSON(in)
		if err != nil {
			return err
		}
		more, err := r.page(in, doc, emit)
		if err != nil || !more {
			return err
		}
		next, err := r.nextPage(in, doc, current)
		if err != nil || next == "" {
			return err
		}
		if seen[next] || len(seen) >= maxPages {
			return in.errorf(doc.get("next").at, "the pages do not end: %s was read before, or there are more than %d", redactURL(next), maxPages)
		}
		page := r
		page.Path = next
		if in, err = page.nextInput(ctx, in); err != nil {
			return err
		}
		current = next
	}
}

// nextInput opens r in the place of the page before it, which it closes; whoever
// opened that one closes the last.
func (r Reader) nextInput(ctx context.Context, last *input) (*input, error) {
	next, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	closeLast := last.close
	*last = *next
	return last, closeLast()
}

// page emits the rows of one page and reports whether more are wanted.
func (r Reader) page(in *input, doc *node, emit emitFunc) (bool, error) {
	result := doc.get("result")
	if result == nil || result.kind != kindList {
		return false, in.errorf(doc.at, "the answer has no list named result, its keys are %s: check the query and its token",
			cmp.Or(shorten(strings.Join(fieldNames(doc), ", ")), "none"))
	}
	projection := cmp.Or(r.Projection, "label")
	for _, record := range result.list {
		for _, v := range project(record, projection) {
			if v.kind == kindText && strings.TrimSpace(v.text) != "" &&
				!emit(Row{Spec: strings.TrimSpace(v.text), Line: v.at.line, Column: v.at.col}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// project returns the values of a key of n; dots reach into objects where no
// key has the whole name, and lists give all their items.
func project(n *node, name string) []*node {
	if v := n.get(name); v != nil {
		if v.kind == kindList {
			return v.list
		}
		return []*node{v}
	}
	head, tail, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	var all []*node
	for _, v := range project(n, head) {
		all = append(all, project(v, tail)...)
	}
	return all
}

// nextPage returns the URL of the page after doc, "" when doc is the last. A
// path is on the server that was asked, below what stands before /repositories/.
func (r Reader) nextPage(in *input, doc *node, current string) (string, error) {
	more, next := doc.get("hasmore"), doc.get("next").get("url")
	if more == nil || more.kind != kindBool || more.text != "true" || next == nil || next.text == "" {
		return "", nil
	}
	if !isURL(r.Path) {
		return "", in.errorf(next.at, "the query has more pages: give its URL instead of a file")
	}
	base, err := url.Parse(current)
	if err != nil {
		return "", muster.Errorf(muster.KindInvalid, "read %s: %w", redactURL(current), err)
	}
	to, err := url.Parse(next.text)
	if err != nil {
		return "", in.errorf(next.at, "next.url %q is no URL", shorten(next.text))
	}
	if prefix, _, ok := strings.Cut(r.Path, "/repositories/"); ok && strings.HasPrefix(next.text, "/") && !strings.HasPrefix(next.text, "//") {
		return prefix + next.text, nil
	}
	to = base.ResolveReference(to)
	if !r.Token.IsZero() && (to.Scheme != base.Scheme || to.Host != base.Host) {
		return "", in.errorf(next.at, "the next page is on another server, %s, which must not see the token", to.Host)
	}
	return to.String(), nil
}
