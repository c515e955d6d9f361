package hostfile

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// Row is one row of an input. Rows of one input may share maps and slices;
// nobody may change them.
type Row struct {
	// Spec is the target as written: an address or a -w expression, which may
	// stand for many targets. "" in rows of [Reader.Each], and where Err says why.
	Spec string
	// ID is the row's own id; "" when it has none.
	ID string
	// Labels and Vars are nil when there are none.
	Labels, Vars map[string]string
	// Groups are the groups the row belongs to, ancestors included.
	Groups []string
	// Off marks a row that switched itself off.
	Off bool
	// Line and Column say where Spec begins, from 1, columns in bytes; 0 where the
	// format has no positions (JSONPath, pages of a query).
	Line, Column int
	// Err is this row's own defect, an error with an [*Error] in its chain; the other rows stand.
	Err error
}

// Reader names an input. It is a value; one Reader may be read many times if
// its input can be.
type Reader struct {
	// Path is a file, "-" for standard input, or an http:// or https:// URL.
	Path string
	// Format is one of [Formats]; "" detects it.
	Format string
	// JSONPath selects texts or objects in a json or yaml document; "" takes the whole.
	JSONPath string
	// Projection is the key of each result that names the target in a cms query,
	// dots reaching into objects; "" means "label". Setting it makes "" as Format mean cms.
	Projection string
	// Token goes as the Authorization header of requests to Path's own server.
	Token muster.Secret
	// Stdin is what "-" reads; nil means the process's standard input.
	Stdin io.Reader
	// Fetch sends one GET and returns the body of a successful answer; anything but a
	// 2xx is an error. nil makes URLs an error. The caller opens the sockets.
	Fetch func(ctx context.Context, url string, header http.Header) (io.ReadCloser, error)
	// Each reads rows for many requests to one server: see the package comment.
	Each bool
}

// The formats a [Reader] reads.
const (
	Lines        = "lines"
	CSV          = "csv"
	TSV          = "tsv"
	JSON         = "json"
	JSONL        = "jsonl"
	YAML         = "yaml"
	AnsibleINI   = "ansible-ini"
	AnsibleYAML  = "ansible-yaml"
	AnsibleJSON  = "ansible-json"
	PrometheusSD = "prometheus-sd"
	CMS          = "cms"
)

// Formats returns the names a Reader's Format may have.
func Formats() []string {
	return []string{Lines, CSV, TSV, JSON, JSONL, YAML, AnsibleINI, AnsibleYAML, AnsibleJSON, PrometheusSD, CMS}
}

// eachFormats are those whose rows are records.
func eachFormats() []string { return []string{CSV, TSV, JSON, JSONL, YAML} }

// Validate reports every problem of r's fields that shows without reading.
func (r Reader) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, muster.Errorf(muster.KindInvalid, format, args...))
	}
	if r.Path == "" {
		bad("host file has no name: give a file, - for standard input, or a URL")
	}
	switch {
	case r.Format == "":
	case !slices.Contains(Formats(), r.Format):
		bad("host file format %q is unknown: use one of %s", r.Format, strings.Join(Formats(), ", "))
	case r.Each && !slices.Contains(eachFormats(), r.Format):
		bad("format %s has no rows for --each: use one of %s", r.Format, strings.Join(eachFormats(), ", "))
	case r.JSONPath != "" && r.Format != JSON && r.Format != YAML:
		bad("a JSONPath selects in json and yaml, not in %s", r.Format)
	case r.Projection != "" && r.Format != CMS:
		bad("a projection is for cms queries, not for %s", r.Format)
	}
	if r.JSONPath != "" {
		if _, err := parsePath(r.JSONPath); err != nil {
			errs = append(errs, err)
		}
	}
	if isURL(r.Path) && r.Fetch == nil {
		bad("read %s: no way to fetch URLs was given", redactURL(r.Path))
	}
	return errors.Join(errs...)
}

// Rows yields the rows in the input's order. A non-nil error is fatal and comes
// last, with a zero Row: the input cannot be read, or its syntax is broken (an
// [*Error] in the chain says where). The defect of one row is its Err.
//
// Reading happens as the sequence is consumed; leaving the loop closes the
// input. When ctx ends the sequence ends with its error, but a read of
// standard input that already waits is not interrupted.
func (r Reader) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stopped := false
		emit := func(row Row) bool {
			stopped = stopped || ctx.Err() != nil || !yield(row, nil)
			return !stopped
		}
		err := r.read(ctx, emit)
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case stopped:
			return
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// emitFunc takes one row and reports whether more are wanted.
type emitFunc func(Row) bool

func (r Reader) read(ctx context.Context, emit emitFunc) error {
	if err := r.Validate(); err != nil {
		return err
	}
	in, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = in.close() }() // read only: nothing is lost
	format := r.Format
	if format == "" {
		if format, err = r.detect(in); err != nil {
			return err
		}
	}
	return r.parse(ctx, format, in, emit)
}

func (r Reader) parse(ctx context.Context, format string, in *input, emit emitFunc) error {
	switch format {
	case CSV, TSV:
		return r.readCSV(in, format == TSV, emit)
	case JSON:
		return r.readJSON(in, emit)
	case JSONL:
		return r.readJSONL(in, emit)
	case YAML:
		return r.readYAML(in, emit)
	case AnsibleINI:
		return readINI(in, emit)
	case AnsibleYAML:
		return readAnsibleYAML(in, emit)
	case AnsibleJSON:
		return readAnsibleJSON(in, emit)
	case PrometheusSD:
		return readSD(in, emit)
	case CMS:
		return r.readCMS(ctx, in, emit)
	}
	return readLines(in, emit)
}
