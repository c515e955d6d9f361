package hostfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readCSV reads a header row and records. Quotes are as in RFC 4180.
func (r Reader) readCSV(in *input, tabs bool, emit emitFunc) error {
	t := newTable(in, tabs)
	header, err := t.next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.header(header, r.Each); err != nil {
		return err
	}
	for number := 1; ; number++ {
		cells, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !r.Each && blank(cells) {
			continue
		}
		if !emit(t.row(cells, r.Each, number)) {
			return nil
		}
	}
}

// table reads the records of a CSV input.
type table struct {
	in   *input
	csv  *csv.Reader
	meta *meter
	last place // where the latest record began
	end  int   // the line it ended on
	cols []column
}

func newTable(in *input, tabs bool) *table {
	t := &table{in: in, meta: &meter{r: in.Reader}}
	t.csv = csv.NewReader(t.meta)
	t.csv.Comma = separator(in, tabs)
	t.csv.Comment = '#'
	t.csv.FieldsPerRecord = -1
	t.csv.ReuseRecord = true
	return t
}

// separator tells the separator from the header, which is the first line that
// is neither blank nor a comment.
func separator(in *input, tabs bool) rune {
	if tabs {
		return '\t'
	}
	head, _ := in.Peek(sniffSize)
	for line := range bytes.Lines(head) {
		if len(bytes.TrimSpace(line)) == 0 || line[0] == '#' {
			continue
		}
		switch {
		case bytes.IndexByte(line, ',') >= 0:
		case bytes.IndexByte(line, ';') >= 0:
			return ';'
		case bytes.IndexByte(line, '\t') >= 0:
			return '\t'
		}
		break
	}
	return ','
}

// next returns the next record, valid until the call after.
func (t *table) next() ([]string, error) {
	t.meta.left = MaxLine
	cells, err := t.csv.Read()
	if err == nil {
		line, col := t.csv.FieldPos(0)
		t.last = place{line, col}
		line, _ = t.csv.FieldPos(len(cells) - 1)
		t.end = line + strings.Count(cells[len(cells)-1], "\n")
		return cells, nil
	}
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, t.in.errorf(place{pe.Line, pe.Column}, "%s", csvProblem(pe))
	}
	// The reader of records counts no lines of a record it could not end.
	if errors.Is(err, errMeter) {
		return nil, t.in.errorf(place{t.end + 1, 1}, "a record from here is longer than %d MiB: is a quote not closed?", MaxLine>>20)
	}
	return nil, t.in.readError(place{t.end + 1, 0}, err)
}

func csvProblem(pe *csv.ParseError) string {
	if errors.Is(pe.Err, csv.ErrQuote) {
		return `a quoted field that began on line ` + strconv.Itoa(pe.StartLine) +
			` does not end well: double the quotes inside it ("") and close it before the separator`
	}
	if errors.Is(pe.Err, csv.ErrBareQuote) {
		return `a quote inside a field without quotes: quote the whole field and double the quote ("")`
	}
	return pe.Err.Error()
}

// header learns the columns.
func (t *table) header(cells []string, each bool) error {
	names := make([]string, len(cells))
	seen := map[string]bool{}
	for i, cell := range cells {
		line, col := t.csv.FieldPos(i)
		at := place{line, col}
		name := strings.TrimSpace(cell)
		switch {
		case !utf8.ValidString(name):
			return t.in.errorf(at, "column %d: the name is not UTF-8 text", i+1)
		case name == "":
			return t.in.errorf(at, "column %d has no name: the first row names the columns", i+1)
		case seen[name]:
			return t.in.errorf(at, "column %q is there twice: rename one", shorten(name))
		}
		names[i], seen[name] = name, true
	}
	t.cols = columnsOf(names, each)
	if !each && !hasAddress(t.cols) {
		return t.in.errorf(t.last, "no column holds the target among %s: name one %s",
			shorten(strings.Join(names, ", ")), strings.Join(addressNames(), ", "))
	}
	return nil
}

// row turns a record's cells into a row.
func (t *table) row(cells []string, each bool, number int) Row {
	var rec record
	for i, text := range cells[:min(len(cells), len(t.cols))] {
		line, col := t.csv.FieldPos(i)
		at := place{line, col}
		if !utf8.ValidString(text) {
			rec.fail(t.in.errorf(at, "column %s is not UTF-8 text", t.cols[i].name))
			continue
		}
		rec.cell(t.in, t.cols[i], text, at)
	}
	if len(cells) != len(t.cols) {
		rec.fail(t.in.errorf(t.last, "the row has %d columns, the header %d", len(cells), len(t.cols)))
	}
	return rec.finish(t.in, each, number, t.last)
}

func blank(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// errMeter is a meter's error when a record is too long.
var errMeter = errors.New("record too long")

// meter bounds what is read for one record.
type meter struct {
	r    io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errMeter
	}
	n, err := m.r.Read(p[:min(len(p), sniffSize)])
	m.left -= n
	return n, err
}
