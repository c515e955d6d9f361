package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// FuzzRequest tries to break out of the request with a target's own values: whatever they are, the
// target is invalid or exactly one request with exactly the fields of the spec is sent.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{"a", "a b", "a\r\nX: y", "\x00", "%zz", "/x?y#z", "käse", "http://h/", "{{.host}}", "[::1]", "h:80"} {
		f.Add(s, s, s)
	}
	p, err := compileHTTP(HTTP{
		URL: "/p/{{.vars.a}}", Host: "{{.vars.b}}", User: "{{.vars.b}}", Body: "{{.vars.c}}",
		Header:  []Header{{Name: "X-A", Value: "{{.vars.a}}"}, {Name: "X-C", Value: "v{{.vars.c}}"}},
		Cookies: []Pair{{"c", "{{.vars.a}}"}},
	}, Env{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		target := muster.Target{Host: "h" + b, Path: c, Vars: map[string]string{"a": a, "b": b, "c": c}}
		var q request
		if d := p.build(&q, &target, false); d != nil {
			if _, missing := errors.AsType[*vars.MissingError](d.err); missing || d.reason == "" {
				t.Fatalf("defect %q: %v", d.reason, d.err)
			}
			return
		}
		br := bufio.NewReader(bytes.NewReader(q.raw))
		req, err := http.ReadRequest(br)
		if err != nil {
			checkRefused(t, q.raw, err)
			return
		}
		body, err := io.ReadAll(req.Body)
		if rest, _ := io.ReadAll(br); err != nil || len(rest) > 0 || string(body) != c {
			t.Fatalf("body %q and %q (%v) of %q", body, rest, err, q.raw)
		}
		want := []string{"X-A", "X-C", "User-Agent", "Accept", "Connection", "Cookie", "Authorization", "Content-Length"}
		for name := range req.Header {
			if !slices.Contains(want, name) {
				t.Fatalf("a field of its own, %s, in %q", name, q.raw)
			}
		}
	})
}

// checkRefused fails unless what net/http's server refuses is but the host or the escape of a URL: the
// request still is one.
func checkRefused(t *testing.T, raw []byte, err error) {
	t.Helper()
	head, _, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	lines := bytes.Split(head, []byte("\r\n"))
	if !ok || bytes.ContainsAny(bytes.ReplaceAll(head, []byte("\r\n"), nil), "\r\n\x00") || len(lines) < 8 || len(lines) > 9 ||
		bytes.Count(lines[0], []byte{' '}) != 2 {
		t.Fatalf("%v: %q", err, raw)
	}
}
