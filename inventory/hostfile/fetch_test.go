package hostfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

// pages is a server of texts by URL.
type pages struct {
	text   map[string]string
	token  string
	open   int
	asked  []string
	broken error
}

func (p *pages) fetch(_ context.Context, url string, h http.Header) (io.ReadCloser, error) {
	p.asked = append(p.asked, url)
	text, ok := p.text[url]
	switch {
	case p.broken != nil:
		return nil, p.broken
	case !ok:
		return nil, fmt.Errorf("status 404 for %s", url)
	case h.Get("Authorization") != p.token:
		return nil, errors.New("status 401")
	}
	p.open++
	return &page{strings.NewReader(text), p}, nil
}

type page struct {
	io.Reader
	p *pages
}

func (p *page) Close() error {
	p.p.open--
	return nil
}

func specs(rows []Row) []string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Spec)
	}
	return all
}

const (
	cmsFirst = "https://cms.example/cms/repositories/cmsdb/query?q=nodes"
	cmsNext  = "https://cms.example/cms/repositories/cmsdb/query?q=nodes&skip=2"
)

func cmsPages() *pages {
	return &pages{token: "Basic abc", text: map[string]string{
		cmsFirst: `{"hasmore": true, "next": {"url": "/repositories/cmsdb/query?q=nodes&skip=2"},
			"result": [{"label": "parallec.github.io", "net": {"fqdn": ["a", "b"]}}, {"label": "www.jeffpei.com"}, {"other": 1}]}`,
		cmsNext: `{"hasmore": false, "result": [{"label": " "}, {"label": null}, {"label": "www.restcommander.com", "net.fqdn": "c"}]}`,
	}}
}

func TestCMS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		projection string
		want       []string
	}{
		{"", []string{"parallec.github.io", "www.jeffpei.com", "www.restcommander.com"}},
		{"label", []string{"parallec.github.io", "www.jeffpei.com", "www.restcommander.com"}},
		{"net.fqdn", []string{"a", "b", "c"}},
		{"unknown", nil},
	}
	for _, tt := range tests {
		p := cmsPages()
		r := Reader{Path: cmsFirst, Format: CMS, Projection: tt.projection, Token: muster.NewSecret("Basic abc"), Fetch: p.fetch}
		rows, err := collect(t.Context(), r)
		if err != nil || !slices.Equal(specs(rows), tt.want) {
			t.Errorf("projection %q: %v, %v", tt.projection, specs(rows), err)
		}
		if p.open != 0 || !slices.Equal(p.asked, []string{cmsFirst, cmsNext}) {
			t.Errorf("asked %v, %d left open", p.asked, p.open)
		}
	}
}

// Leaving the loop asks for no more pages and closes the one it has.
func TestCMSStops(t *testing.T) {
	t.Parallel()
	p := cmsPages()
	r := Reader{Path: cmsFirst, Projection: "label", Token: muster.NewSecret("Basic abc"), Fetch: p.fetch}
	for range r.Rows(t.Context()) {
		break
	}
	if len(p.asked) != 1 || p.open != 0 {
		t.Errorf("asked %v, %d left open", p.asked, p.open)
	}
}

func TestCMSErrors(t *testing.T) {
	t.Parallel()
	const u = "http://cms/repositories/x"
	more := func(next string) string { return `{"result": [], "hasmore": true, "next": {"url": "` + next + `"}}` }
	tests := []struct{ name, text, want string }{
		{"loop", more("/repositories/x"), u + ":1:41: the pages do not end"},
		{"other server", more("http://evil/repositories/x"), "the next page is on another server, evil, which must not see the token"},
		{"no url", more("http://[::1"), "is no URL"},
		{"gone", more("/repositories/y"), "read http://cms/repositories/y: status 404"},
		{"broken", `{"result": [}`, u + ":1:13: '}' where a value should be"},
	}
	for _, tt := range tests {
		p := &pages{token: "t", text: map[string]string{u: tt.text}}
		_, err := collect(t.Context(), Reader{Path: u, Format: CMS, Token: muster.NewSecret("t"), Fetch: p.fetch})
		if err == nil || !strings.Contains(err.Error(), tt.want) || p.open != 0 {
			t.Errorf("%s: %v, %d open; want %s", tt.name, err, p.open, tt.want)
		}
	}
	p := &pages{token: "t", broken: errors.New("no route")}
	_, err := collect(t.Context(), Reader{Path: u + "?secret", Token: muster.NewSecret("t"), Fetch: p.fetch})
	if muster.KindOf(err) != muster.KindUnavailable || !errors.Is(err, p.broken) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	_, err = collect(t.Context(), Reader{Path: "-", Format: CMS, Stdin: strings.NewReader(more("/x"))})
	if err == nil || !strings.Contains(err.Error(), "the query has more pages: give its URL") {
		t.Errorf("file: %v", err)
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	p := &pages{text: map[string]string{
		"HTTP://h/fleet.csv?v=1": "host,rack\nweb1,r1\n",
		"http://h/sd":            `[{"targets": ["a:1", "b:2"]}]`,
		"http://h/list":          "web1\nweb2 # two\n",
	}}
	for url, want := range map[string][]string{
		"HTTP://h/fleet.csv?v=1": {"web1"},
		"http://h/sd":            {"a:1", "b:2"},
		"http://h/list":          {"web1", "web2"},
	} {
		rows, err := collect(t.Context(), Reader{Path: url, Fetch: p.fetch})
		if err != nil || !slices.Equal(specs(rows), want) {
			t.Errorf("%s: %v, %v", url, specs(rows), err)
		}
	}
}

func TestJSONPath(t *testing.T) {
	t.Parallel()
	const doc = `{"sample": {"small-target-hosts": [{"hostName": "a"}, {"hostName": "b", "id": "x"}, {"hostName": "c"}],
		"full": [{"host": "a", "n": 12345678901234567890, "f": 1.5, "deep": {"k": [true, null]}}], "zip": ["1", 2]}, "odd": [7, null]}`
	const asYAML = "sample:\n  full:\n    - {host: a, n: 12345678901234567890, f: 1.5, deep: {k: [true, ~]}}\n"
	full := `0:0 "a" labels{f="1.5" n="12345678901234567890"} vars{deep="{\"k\":[true,null]}" f="1.5" n="12345678901234567890"}` + "\n"
	tests := []struct {
		name, text string
		r          Reader
		want       string
	}{
		{"texts", doc, Reader{JSONPath: "$.sample.small-target-hosts[*].hostName"}, "0:0 \"a\"\n0:0 \"b\"\n0:0 \"c\"\n"},
		{"dashes anywhere", doc, Reader{JSONPath: "$..small-target-hosts[?@.id=='x'].hostName"}, "0:0 \"b\"\n"},
		{"objects", doc, Reader{JSONPath: "$.sample.full[*]"}, full},
		{"list", doc, Reader{JSONPath: "$.sample.full"}, full},
		{"yaml", asYAML, Reader{JSONPath: "$.sample.full", Format: YAML}, full},
		{"each", doc, Reader{JSONPath: "$.sample.zip", Each: true}, "0:0 \"\" id=\"1\" vars{value=\"1\"}\n0:0 \"\" id=\"2\" vars{value=\"2\"}\n"},
		{"nothing", doc, Reader{JSONPath: "$.nope[*]"}, ""},
		{"odd", doc, Reader{JSONPath: "$.odd"}, "0:0 \"\" err=standard input: row 1 is a number: want a text or an object\n" +
			"0:0 \"\" err=standard input: row 2 is null: want a text or an object\n"},
		{"broken", "{\"a\":\n 1,}", Reader{JSONPath: "$.a"}, "! standard input:2:4: '}' where a key in double quotes should be\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.r.Path, tt.r.Stdin = "-", strings.NewReader(tt.text)
			if got := dump(t.Context(), tt.r); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
	_, err := collect(t.Context(), Reader{Path: "-", Format: JSON, JSONPath: "$.[", Stdin: strings.NewReader("{}")})
	if muster.KindOf(err) != muster.KindInvalid {
		t.Errorf("bad path: %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	var rows int
	var last error
	for _, err := range (Reader{Path: "-", Stdin: &endless{head: strings.Repeat("web1\n", 100_000)}}).Rows(ctx) {
		if last = err; err != nil {
			break
		}
		if rows++; rows == 10 {
			cancel(enough)
		}
	}
	if rows != 10 || !errors.Is(last, enough) {
		t.Errorf("%d rows, %v", rows, last)
	}
}
