package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/musterhq/muster"
)

// spillLine is what is read back of a line of a spill file: everything but the headers.
type spillLine struct {
	Kind     string          `json:"kind"`
	Index    int             `json:"index"`
	Address  string          `json:"address"`
	Outcome  muster.Outcome  `json:"outcome"`
	Failure  muster.Failure  `json:"failure"`
	Reason   string          `json:"reason"`
	Detail   string          `json:"detail"`
	Status   string          `json:"status"`
	Code     int             `json:"code"`
	Timings  spillTimings    `json:"timings"`
	Started  time.Time       `json:"started"`
	Cut      bool            `json:"truncated"`
	Attempts int             `json:"attempts"`
	Fields   json.RawMessage `json:"fields"`
	Body     string          `json:"body"`
	Base64   []byte          `json:"body_b64"`
	Indexes  []int           `json:"indexes"`
}

// spillTimings are milliseconds.
type spillTimings struct {
	Resolve   float64 `json:"resolve"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Total     float64 `json:"total"`
}

func fromMillis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func (l *spillLine) result() muster.Result {
	r := muster.Result{
		Index: l.Index, Outcome: l.Outcome, Failure: l.Failure, Reason: l.Reason, Detail: l.Detail, Status: l.Status,
		Code: l.Code, Attempts: l.Attempts, Fields: readFields(l.Fields), Body: []byte(l.Body),
	}
	if len(l.Base64) > 0 {
		r.Body = l.Base64
	}
	t := &l.Timings
	r.Timings = muster.Timings{
		Resolve: fromMillis(t.Resolve), Connect: fromMillis(t.Connect), TLS: fromMillis(t.TLS),
		FirstByte: fromMillis(t.FirstByte), Total: fromMillis(t.Total),
	}
	r.Started, r.Truncated = l.Started, l.Cut
	// An address that does not parse was none.
	r.Address, _ = muster.ParseAddress(l.Address)
	return r
}

// readFields reads a JSON object in its order; values that no field can have are left out.
func readFields(b json.RawMessage) []muster.Field {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var fs []muster.Field
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fs
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return fs
		}
		switch v.(type) {
		case nil, bool, float64, string:
			fs = append(fs, muster.Field{Name: name.(string), Value: v})
		}
	}
	return fs
}

// maxLine bounds a line of a spill file.
const maxLine = 1 << 30

// spillBatch is how many bytes of lines one write takes at most, unless one line is longer.
const spillBatch = 4 << 20

// spillReader writes the results of spill files to a job, a segment's worth in one transaction.
type spillReader struct {
	r        *Recorder
	reserved []uint64
	line     []byte
	batch    []muster.Result
	bytes    int // of the lines in batch
}

// readSpill writes the results of a spill file to the job and notes its reservations.
// The last line may be cut short: its writer died.
func (r *Recorder) readSpill(ctx context.Context, path string, reserved []uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	sr := spillReader{r: r, reserved: reserved}
	for {
		sr.line, err = readLine(in, sr.line[:0])
		switch {
		case errors.Is(err, io.EOF):
			return sr.flush(ctx)
		case err != nil:
			return err
		}
		if err := sr.take(ctx); err != nil {
			return err
		}
	}
}

// take reads the line at hand. Another program's line, or half of one, is passed over: the rest is worth having.
func (sr *spillReader) take(ctx context.Context) error {
	var l spillLine
	if json.Unmarshal(sr.line, &l) != nil {
		return nil
	}
	switch l.Kind {
	case kindReserve:
		for _, i := range l.Indexes {
			setBit(sr.reserved, i, sr.r.targets)
		}
	case "result":
		res := l.result()
		if sr.r.check(&res) != nil {
			return nil
		}
		sr.batch, sr.bytes = append(sr.batch, res), sr.bytes+len(sr.line)
	}
	if len(sr.batch) < segmentRows && sr.bytes < spillBatch {
		return nil
	}
	return sr.flush(ctx)
}

func (sr *spillReader) flush(ctx context.Context) error {
	err := sr.r.keep(ctx, sr.batch)
	clear(sr.batch)
	sr.batch, sr.bytes = sr.batch[:0], 0
	return err
}

// readLine appends the next whole line to line; what follows the last newline is no line.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxLine {
			return nil, errCorrupt
		}
	}
}
