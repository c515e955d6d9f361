package sink

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// Lines writes live lines as clush does: every line of a body behind its target's id. The
// extracted fields of a target, when its action has any, take the place of the body. A target
// without either shows its status, and one that is not ok ends with a line that says so:
//
//	web1: nginx 1.27
//	web2: version=1.26 healthy=false
//	web2: unexpected (status 503)
//	web3: failed (refused): dial tcp 10.0.0.3:80: connection refused
type Lines struct {
	// W must be set.
	W io.Writer
	// Colors colours ids and verdicts.
	Colors Colorizer
	// Raw leaves control characters and escape sequences in what targets sent as they are,
	// for files and pipes. Otherwise they are made visible.
	Raw bool
	// Own names the fields that the probe brings by itself; of names with dots the part before the
	// first is enough. They take the place of a body only where there is none, and
	// the lines of the one named "stderr" follow the body's.
	Own []string

	out output
	buf []byte
}

var _ muster.Sink = (*Lines)(nil)

// Write writes the lines of rs.
func (l *Lines) Write(_ context.Context, rs []muster.Result) error {
	l.buf = l.buf[:0]
	for i := range rs {
		l.result(&rs[i])
		l.buf = l.out.spill(l.W, l.buf)
	}
	return l.out.write(l.W, l.buf)
}

// Close reports what no Write has reported. It does not close W.
func (l *Lines) Close() error { return l.out.close() }

func (l *Lines) result(r *muster.Result) {
	fields, stderr := l.split(r)
	switch {
	case len(fields) > 0:
		l.fields(r, fields)
	case len(r.Body) > 0:
		l.lines(r, r.Body, plain)
	case r.Outcome == muster.OK && stderr == "":
		l.verdict(r, plain, statusOr(r, "ok"))
	}
	l.lines(r, []byte(stderr), red)
	if r.Truncated && len(fields) == 0 {
		l.verdict(r, faint, "(body cut at the limit)")
	}
	if r.Outcome == muster.OK {
		return
	}
	why := *r
	if strings.Contains(stderr, r.Detail) {
		why.Detail = "" // it has just been shown
	}
	l.verdict(r, styleOf(r.Outcome), Verdict(&why))
}

// split returns the fields that take the place of the body, and the text of standard error.
func (l *Lines) split(r *muster.Result) (fields []muster.Field, stderr string) {
	own := 0
	for own < len(r.Fields) && l.owns(r.Fields[own].Name) {
		if r.Fields[own].Name == "stderr" {
			stderr, _ = r.Fields[own].Value.(string)
		}
		own++
	}
	switch {
	case own < len(r.Fields):
		return r.Fields[own:], stderr
	case len(r.Body) > 0:
		return nil, stderr
	}
	return slices.DeleteFunc(slices.Clone(r.Fields), func(f muster.Field) bool { return f.Name == "stderr" }), stderr
}

// owns reports whether the probe brings the named field by itself: its fields come first.
func (l *Lines) owns(name string) bool {
	root, _, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(l.Own, func(own string) bool {
		first, _, _ := strings.Cut(own, ".")
		return first == root
	})
}

// lines writes every line of text behind the target's id.
func (l *Lines) lines(r *muster.Result, text []byte, s style) {
	for line := range bytes.Lines(text) {
		l.begin(r)
		l.buf = l.Colors.open(l.buf, s)
		l.text(chomp(line))
		l.buf = l.Colors.close(l.buf, s)
		l.buf = append(l.buf, '\n')
	}
}

// begin starts a line with the target's id.
func (l *Lines) begin(r *muster.Result) {
	l.buf = l.Colors.open(l.buf, cyan)
	l.text([]byte(r.Target))
	l.buf = l.Colors.close(l.buf, cyan)
	l.buf = append(l.buf, ": "...)
}

func (l *Lines) text(s []byte) {
	if l.Raw {
		l.buf = append(l.buf, s...)
		return
	}
	l.buf = appendVisible(l.buf, s)
}

func (l *Lines) verdict(r *muster.Result, s style, text string) {
	l.begin(r)
	l.buf = l.Colors.open(l.buf, s)
	l.text([]byte(oneLine(text)))
	l.buf = l.Colors.close(l.buf, s)
	l.buf = append(l.buf, '\n')
}

func (l *Lines) fields(r *muster.Result, fields []muster.Field) {
	l.begin(r)
	for i, f := range fields {
		if i > 0 {
			l.buf = append(l.buf, ' ')
		}
		l.text([]byte(f.Name + "=" + oneLine(fieldWord(f.Value))))
	}
	l.buf = append(l.buf, '\n')
}

// fieldWord shows nothing as "-" and quotes text that would not read as one word.
func fieldWord(v any) string {
	s := fieldText(v)
	switch {
	case v == nil:
		return "-"
	case s == "" || bytes.ContainsAny([]byte(s), " \t\r\n\""):
		return string(appendString(nil, s))
	}
	return s
}

// Verdict says in one line how a target ended: "failed (refused): connection refused",
// "unexpected (status 503)", "not_attempted", "ok".
func Verdict(r *muster.Result) string {
	s := r.Outcome.String()
	why := r.Reason
	if r.Outcome == muster.Failed {
		why = r.Failure.String()
	}
	if why != "" {
		s += " (" + why + ")"
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

func statusOr(r *muster.Result, or string) string {
	if r.Status != "" {
		return r.Status
	}
	return or
}

func chomp(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// oneLine keeps a verdict on its line.
func oneLine(s string) string {
	return string(bytes.Join(bytes.FieldsFunc([]byte(s), func(r rune) bool { return r == '\n' || r == '\r' }), []byte(" ")))
}
